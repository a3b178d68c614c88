/**
 * Endpoints that move between nodes, on Open vSwitch: the flows of a port are those of its phase, and what else is told of the endpoint follows
 * them. What is there is read first, so that a call which is made again changes nothing; but not by depart() and open(), between which
 * frames are lost, and which take one round trip. Flows that stay keep their counts.
 *
 * Who of the tenant receives broadcast several processes may have to say, by the rows of the switch; so the row of a port that waits says that it
 * does. A change of a row has ovs-vswitchd go over all of its ports: it comes last.
 */
import { WeftError } from '../../errors/weft-error.ts';
import type { PacketIn } from '../../openflow/event.ts';
import { NetlinkError } from '../../netlink/netlink-error.ts';
import type { ListedFlow } from '../../openflow/flow.ts';
import type { AttachmentPort } from '../../overlay/model.ts';
import type { DatapathMigration, MovingPort } from '../migration.ts';
import { armActivation } from './activation.ts';
import { countsRelayed, flowsOf, flowsOfPort, movePackets, ownerOf, priorities, tables, type FlowOwner, type LocalPort, type TenantNetwork } from './flows/flows.ts';
import { isGateOpen, openGate, removeGate } from './gate.ts';
import { planPortFlows, planPortFlowsUnseen } from './port-flows.ts';
import { showOnSwitch, tellBgp, type OvsParts } from './port.ts';
import { requireNetwork } from './remotes.ts';
import { requireSpareVni } from './spare-vni.ts';
import { forgetEndpoint } from './stand-in-endpoints.ts';
import type { OvsSwitch } from './switch/switch.ts';

/** A node's part in migrations, over Open vSwitch. */
export function ovsMigration(parts: OvsParts): DatapathMigration {
  const { kernel, ovs } = parts;
  const during = <R>(work: (moving: MovingPort) => Promise<R>) => (moving: MovingPort): Promise<R> => ovs.presence.during(work(moving));
  const change = (moving: MovingPort): Promise<void> => sendPhase(ovs, moving);
  return {
    startRelay: during(async (moving) => {
      await requirePorts(ovs);
      requireSpareVni(moving.segment, ovs.ports());
      await change(moving);
    }),
    depart: during(async (moving) => {
      await sendPhaseUnseen(ovs, moving);
      forgetEndpoint(kernel, moving.port, { segment: moving.segment, ports: ovs.ports() });
    }),
    leave: during(change),
    takeBack: during(async (moving) => {
      await change(moving);
      await tellBgp(kernel, moving);
    }),
    countRelayed: during(async ({ port }) => (await listOwn(ovs, port)).filter(countsRelayed).reduce((sum, { packets }) => sum + Number(packets), 0)),
    open: during(async (moving) => {
      await sendPhaseUnseen(ovs, moving);
      await tellBgp(kernel, moving);
      // It is taken away when all is over: who looks before the ledger says that the endpoint has arrived would find a waiting port without one.
      openGate(kernel.netfilter, moving.port);
      await showOnSwitch(parts, moving.port);
    }),
    armActivation: (moving) => armActivation(parts, moving),
    armOpening: (moving) => armOpening(parts, moving),
    hasOpened: during(({ port }) => hasOpened(parts, port)),
    watchOpening: ({ port }, onOpened) => watchOpening(parts, port, onOpened),
    settle: during(async (moving) => {
      await change(moving);
      removeGate(kernel.netfilter, moving.port);
    }),
    announce: (moving) => ovs.presence.during(announce(ovs, moving)).catch(() => undefined),
  };
}

/** Has the switch's ports at hand. @throws as OvsSwitch.ready() */
async function requirePorts(ovs: OvsSwitch): Promise<void> {
  if (!ovs.isKnown) await ovs.ready();
}

interface Place {
  readonly network: TenantNetwork;
  readonly local: LocalPort;
}

/** @throws WeftError tryAgainLater while the tenant's network or the port is not whole */
async function placeOf(ovs: OvsSwitch, moving: Pick<MovingPort, 'segment' | 'port'>): Promise<Place> {
  await requirePorts(ovs);
  return knownPlaceOf(ovs, moving);
}

/** As placeOf(), while the switch's ports are known. */
function knownPlaceOf(ovs: OvsSwitch, { segment, port }: Pick<MovingPort, 'segment' | 'port'>): Place {
  const network = requireNetwork(ovs, segment);
  const ofport = ovs.ports().get(port.hostIf)?.ofport;
  if (ofport === undefined) throw new WeftError('tryAgainLater', `The host interface ${port.hostIf} is no port of Open vSwitch`);
  return { network, local: { ofport, port } };
}

function ownerOfPort({ ofport, port: { vni } }: LocalPort): FlowOwner {
  return { kind: 'port', vni, ofport };
}

async function sendPhase(ovs: OvsSwitch, moving: MovingPort): Promise<void> {
  const { network, local } = await placeOf(ovs, moving);
  const present = await ovs.listFlows(flowsOf(ownerOfPort(local)));
  await ovs.send(planPortFlows(local, { wanted: flowsOfPort(network, local), present }));
}

async function sendPhaseUnseen(ovs: OvsSwitch, moving: MovingPort): Promise<void> {
  const { network, local } = await placeOf(ovs, moving);
  await ovs.send(planPortFlowsUnseen(network, local, flowsOfPort(network, local)));
}

/** The flows of the port when its endpoint has arrived are on their way when it returns, and the gate is open. */
function armOpening({ ovs, kernel }: OvsParts, { segment, port }: MovingPort): () => void {
  const { migration } = port;
  if (migration === undefined) throw new WeftError('internal', `The attachment of ${port.hostIf} does not say from which node it comes`);
  const { network, local } = knownPlaceOf(ovs, { segment, port: { ...port, migration: { ...migration, phase: 'arrived' } } });
  const mods = planPortFlowsUnseen(network, local, flowsOfPort(network, local));
  return () => {
    try {
      openGate(kernel.netfilter, port);
    } catch (error) {
      // open() says it.
      if (!(error instanceof NetlinkError)) throw error;
    }
    void ovs.send(mods).catch(() => undefined);
  };
}

/** The port's flows; none of one that is not on the switch. */
async function listOwn(ovs: OvsSwitch, port: AttachmentPort, table?: number): Promise<readonly ListedFlow[]> {
  await requirePorts(ovs);
  const ofport = ovs.ports().get(port.hostIf)?.ofport;
  return ofport === undefined ? [] : ovs.listFlows({ ...flowsOf(ownerOfPort({ ofport, port })), ...(table === undefined ? {} : { table }) });
}

/** The machine has, or the source, or open(), which leaves neither the gate nor its flows. */
async function hasOpened({ ovs, kernel }: OvsParts, port: AttachmentPort): Promise<boolean> {
  if (isGateOpen(kernel.netfilter, port)) return true;
  const flows = await listOwn(ovs, port, tables.local);
  return flows.some(({ priority }) => priority !== priorities.local.relayed);
}

/** The flow that opens the port shows the frame to whoever is connected. What came before, or while nobody was, is looked for. */
function watchOpening(parts: OvsParts, port: AttachmentPort, onOpened: () => void): () => void {
  let isWatched = true;
  const tell = (): void => {
    if (isWatched) onOpened();
  };
  const { ovs } = parts;
  const look = (): void => void hasOpened(parts, port).then((isOpen) => (isOpen ? tell() : undefined), () => undefined);
  const hear = ({ cookie }: PacketIn): void => {
    const owner = ownerOf(cookie);
    if (owner?.kind === 'port' && owner.vni === port.vni && ovs.isKnown && ovs.ports().get(port.hostIf)?.ofport === owner.ofport) tell();
  };
  const stops = [ovs.onPacketIn(hear), ovs.onFlowsLost(look)];
  look();
  return () => {
    isWatched = false;
    for (const stop of stops) stop();
  };
}

async function announce(ovs: OvsSwitch, moving: MovingPort): Promise<void> {
  const { network, local } = await placeOf(ovs, moving);
  await Promise.allSettled(movePackets(network, local).map((packet) => ovs.sendPacket(packet)));
}
