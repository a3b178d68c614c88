/** A container's port: a veth pair whose host end is a port of the integration bridge, and the flows that let its frames in and out. */
import { setLink, setNoLinkLocal, type Link } from '../../netlink/link.ts';
import { WeftError } from '../../errors/weft-error.ts';
import type { Flow } from '../../openflow/flow.ts';
import type { AttachmentPort, Segment } from '../../overlay/model.ts';
import { hasStandIn } from '../../overlay/spare.ts';
import { nextTurn } from '../../sys/timer.ts';
import { shapersOf } from '../bandwidth.ts';
import type { AttachedLink, PortRequest } from '../datapath.ts';
import { exchangeAside, exchangeNow, type Exchanges } from '../exchange.ts';
import { findLinks } from '../find-links.ts';
import { baseTables, ensureTables, missingTables } from '../guard/guard.ts';
import { limitInside, standsInside } from '../inside-limit.ts';
import type { Kernel } from '../kernel.ts';
import { limitPort, reroute } from '../port-limits.ts';
import { containerEnd, makeVeth, type HostEnd } from '../veth.ts';
import { announcementPackets, flowsOf, flowsOfPort, type LocalPort, type TenantNetwork } from './flows/flows.ts';
import { removeGate } from './gate.ts';
import { closeWaiting } from './opener.ts';
import { isClosed, isWaiting } from '../phases.ts';
import { planPortFlows } from './port-flows.ts';
import { externalIdsOf, gateKey, gateMarkOf } from './rows.ts';
import { ensureStandIn } from './stand-in.ts';
import { endpointSettings, forgetEndpoint } from './stand-in-endpoints.ts';
import type { OvsSwitch } from './switch/switch.ts';
import { requireSpareVni } from './spare-vni.ts';
import { added, type Tenants } from './tenants.ts';

/** What the datapath works with. */
export interface OvsParts {
  readonly kernel: Kernel;
  readonly ovs: OvsSwitch;
  readonly tenants: Tenants;
  /** Host interfaces of attaches that have asked nothing of the switch for themselves yet: without it there is nothing to undo. */
  readonly untouched: Set<string>;
}

/**
 * Makes the port. Until its flows are there, which come last, the switch takes nothing from it and gives it nothing; and of the host it is
 * kept by its name, from before it is there.
 */
export async function attachPort(parts: OvsParts, request: PortRequest): Promise<AttachedLink> {
  const { kernel, ovs, tenants, untouched } = parts;
  untouched.add(request.port.hostIf);
  await tenants.ensure(request.segment);
  untouched.delete(request.port.hostIf);
  if (isWaiting(request.port)) requireSpareVni(request.segment, ovs.ports());
  const host = await exchangeAside(kernel, plug(parts, request));
  closeWaiting(parts, request);
  const [plugged, set] = await Promise.allSettled([
    ovs.addPort({ name: request.port.hostIf, externalIds: externalIdsOf(request.port) }),
    exchangeAside(kernel, setUpContainer(parts, request, host.peerIndex)),
  ]);
  for (const outcome of [plugged, set]) if (outcome.status === 'rejected') throw outcome.reason;
  limitHost(parts, request, host.index);
  // Behind its row on the switch, by which a late DEL of another container with this MAC knows that the entries are not its own.
  await tellBgp(kernel, request);
  await openPort(parts, request.segment, { local: { ofport: (plugged as PromiseFulfilledResult<number>).value, port: request.port } });
  return { hostMac: host.mac };
}

/** Writes the endpoint where BGP looks, if it does: of one that is not here yet only that the tenant is. */
export async function tellBgp(kernel: Kernel, { segment, port }: Pick<PortRequest, 'segment' | 'port'>): Promise<void> {
  if (!hasStandIn(segment)) return;
  const standIn = ensureStandIn(kernel, segment);
  if (!isClosed(port)) await kernel.requestAside(endpointSettings(standIn, port));
}

/** The pair, with its host's end up; the container's still is down. */
function* plug({ kernel, tenants }: OvsParts, request: PortRequest): Exchanges<HostEnd> {
  const { port, netnsFd } = request;
  ensureHostGuard(kernel);
  const host = yield* makeVeth(kernel, request);
  // Whoever sends by the userspace datapath must not leave its checksums to a network card (OVS's userspace-checksum-offloading.rst).
  if (tenants.isUserspace) kernel.setTxChecksumIn(netnsFd, port.containerIf, false);
  // An interface with an IPv6 address is one that the userspace datapath looks for tunnels at (ofproto-dpif-xlate.c, terminate_native_tunnel).
  // What the userspace datapath would set itself is set at once: for each change of a link ovs-vswitchd goes over all of its ports.
  const change = { alias: port.alias, isUp: true, isArpOff: true, ...(tenants.isUserspace ? { isPromiscuous: true } : {}) };
  yield { requests: [setNoLinkLocal(port.hostIf), setLink(port.hostIf, change)] };
  return host;
}

function* setUpContainer({ kernel, tenants }: OvsParts, request: PortRequest, index: number): Exchanges<void> {
  const { port, segment, netnsFd } = request;
  if (port.bandwidth?.egress !== undefined && standsInside(segment, tenants.isUserspace)) kernel.withRouteIn(netnsFd, (route) => limitInside(route, port, index));
  yield containerEnd(request, index);
}

/** The tables without which frames that the userspace datapath only copies would reach the host's IP stack. */
function ensureHostGuard(kernel: Kernel): void {
  if (missingTables(kernel.netfilter, baseTables).length > 0) ensureTables(kernel.netfilter, []);
}

/** Behind the plugging in: ovs-vswitchd takes other qdiscs off an interface that becomes its port (netdev-linux.c, netdev_linux_set_qos). */
function limitHost({ kernel, tenants }: OvsParts, { segment, port }: Pick<PortRequest, 'segment' | 'port'>, index: number): void {
  limitPort(kernel.route, { segment, port, index, isUserspace: tenants.isUserspace });
}

/** As limitHost(), of an interface that may have filters. */
function rerouteHost({ kernel, tenants }: OvsParts, { segment, port }: Pick<PortRequest, 'segment' | 'port'>, index: number): void {
  reroute(kernel.route, { segment, port, index, isUserspace: tenants.isUserspace });
}

function requireLink(kernel: Kernel, name: string): Link {
  const [link] = findLinks(kernel.route, [name]);
  if (link === undefined) throw new WeftError('tryAgainLater', `The host interface ${name} is gone`);
  return link;
}

interface Opening {
  readonly local: LocalPort;
  readonly send?: (flows: readonly Flow[]) => Promise<void>;
}

/** How often what another process has removed meanwhile is made again. */
const openingsMax = 4;

/** Sends the port's flows, by `send` together with what else that sends, and tells the others where it is. */
async function openPort({ ovs, tenants }: OvsParts, segment: Segment, { local, send = (flows) => ovs.send(flows.map(added)) }: Opening): Promise<void> {
  let network = await tenants.ensure(segment);
  for (let attempt = 1; ; attempt += 1) {
    await sendInOrder(tenants, network, () => send(flowsOfPort(network, local)));
    // The last container of another tenant may have taken the bridge along until this port was on it.
    const present = await tenants.ensure(segment);
    if (present === network || attempt === openingsMax) break;
    network = present;
  }
  if (!isClosed(local.port)) await announce(ovs, network, local);
}

/** Whoever looks and finds the port's flows finds it among the tenant's ports as well. */
async function sendInOrder(tenants: Tenants, network: TenantNetwork, send: () => Promise<void>): Promise<void> {
  await Promise.all([tenants.flood(network), nextTurn().then(send)]);
}

async function announce(ovs: OvsSwitch, network: TenantNetwork, local: LocalPort): Promise<void> {
  // The container works without: others learn from its first frame.
  await Promise.allSettled(announcementPackets(network, local).map((packet) => ovs.sendPacket(packet)));
}

/** A port that goes, with its tenant's segment where that is known. */
export interface Detachment {
  readonly port: AttachmentPort;
  readonly segment: Segment | undefined;
}

/**
 * Removes the port, wherever attachPort() got to. Its links are doomed when the call returns. Its flows go before its number can be another
 * port's.
 */
export function detachPort(parts: OvsParts, { port, segment }: Detachment, removeLinks: (names: readonly string[]) => Promise<void>): Promise<void> {
  const gone = removeLinks([port.hostIf, ...shapersOf(port)]);
  // Whoever waits for both hears of it.
  gone.catch(() => undefined);
  if (port.migration !== undefined) removeGate(parts.kernel.netfilter, port);
  return Promise.all([gone, unplug(parts, { port, segment })]).then(() => undefined);
}

async function unplug({ kernel, ovs, tenants }: OvsParts, { port, segment }: Detachment): Promise<void> {
  const { hostIf, vni } = port;
  await tenants.whileLeaving(hostIf, async () => {
    // Where the switch is at hand this is on its way when the call returns.
    if (!ovs.isKnown) await ovs.ready();
    forgetEndpoint(kernel, port, { segment, ports: ovs.ports() });
    const ofport = ovs.ports().get(hostIf)?.ofport;
    if (ofport !== undefined) {
      const flooded = tenants.receivers(vni).then((receivers) => tenants.flood(receivers));
      await Promise.all([ovs.send([{ kind: 'delete', filter: flowsOf({ kind: 'port', vni, ofport }) }]), flooded]);
    }
    await ovs.removePorts([hostIf]);
    // Another process that was sending the list of receivers may have found the row, and is not told that it went.
    if (ofport !== undefined) await tenants.flood(await tenants.receivers(vni));
  });
}

/** Makes the port anew where its links are missing: the pair within the call, the switch's part behind it. @throws WeftError */
export function remakePort(parts: OvsParts, request: PortRequest): Promise<void> {
  const { kernel, ovs, tenants } = parts;
  const host = exchangeNow(kernel, plug(parts, request));
  closeWaiting(parts, request);
  exchangeNow(kernel, setUpContainer(parts, request, host.peerIndex));
  return (async () => {
    await tenants.ensure(request.segment);
    const ofport = await ovs.addPort({ name: request.port.hostIf, externalIds: externalIdsOf(request.port) });
    limitHost(parts, request, host.index);
    await tellBgp(kernel, request);
    await openPort(parts, request.segment, { local: { ofport, port: request.port } });
  })();
}

/** Plugs in what is there, or only sends its flows, where that is missing; what the port has beside them goes in the same step. */
export async function replugPort(parts: OvsParts, segment: Segment, port: AttachmentPort): Promise<void> {
  const { kernel, ovs, tenants } = parts;
  await tenants.ensure(segment);
  const row = ovs.ports().get(port.hostIf);
  // A row whose device has gone and come back stays dead until it is made anew.
  const isAlive = row?.ofport !== undefined && row.ifIndex !== 0;
  const ofport = isAlive ? row.ofport : await ovs.addPort({ name: port.hostIf, externalIds: externalIdsOf(port) });
  const { index } = requireLink(kernel, port.hostIf);
  if (!isAlive) rerouteHost(parts, { segment, port }, index);
  await markGate(ovs, port);
  const local = { ofport, port };
  // Flows that were not lost stay, and that the machine has opened the port among them.
  const send = async (wanted: readonly Flow[]): Promise<void> => ovs.apply(planPortFlows(local, { wanted, present: await ovs.listFlows(flowsOf({ kind: 'port', vni: port.vni, ofport })) }));
  await openPort(parts, segment, { local, send });
}

/** Has the port's row say whether it waits, and whoever sends to all of the tenant send to it or not. @throws as OvsSwitch.markPort() */
export async function showOnSwitch({ ovs, tenants }: OvsParts, port: AttachmentPort): Promise<void> {
  await markGate(ovs, port);
  await tenants.flood(await tenants.receivers(port.vni));
}

async function markGate(ovs: OvsSwitch, port: AttachmentPort): Promise<void> {
  const mark = gateMarkOf(port);
  if (ovs.ports().get(port.hostIf)?.externalIds.get(gateKey) !== mark) await ovs.markPort(port.hostIf, { key: gateKey, value: mark });
}
