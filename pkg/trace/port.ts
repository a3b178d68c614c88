/** The host interface of who sends: its link, limits, guard, and the bridge it is plugged into. Pure. */
import { bridgeTable } from '../datapath/guard/guard-rules.ts';
import { openElement, portElements, waitingElement, type GuardElement } from '../datapath/guard/guard-elements.ts';
import { eui64LinkLocal } from '../netaddr/netaddr.ts';
import type { AttachmentRecord } from '../ledger/records.ts';
import { shaperName } from '../overlay/names.ts';
import type { SeenLink } from './sight.ts';
import { daemonMends } from './step.ts';
import { fitsLink } from './packet.ts';
import { bridgeOf, nameOf, say, type Sent, type Way } from './way.ts';

/** The host interface has received it. @throws EndOfWay */
export function enterHost(way: Way, { record }: Sent): SeenLink {
  const { walk, node, packet } = way;
  const name = record.hostIf;
  const show = `ip -d link show dev ${name}`;
  const link = node.findLink(name);
  if (link === undefined || link.kind !== 'veth') return walk.stop('host-link', { what: link === undefined ? `the host interface ${name} is missing` : `${name} is a ${link.kind ?? 'device'} that weft did not make`, show });
  const inner = node.inContainer(record, (container) => container.findLink(record.port.containerIf));
  if (inner?.lower !== undefined && inner.master === undefined && inner.lower !== link.index) return walk.stop('host-link', { what: `${record.port.containerIf} in the container is not the other end of ${name}`, show, fix: 'attach the container anew' });
  walk.require(link.isUp, 'host-link', { good: `the host interface ${name} is up`, bad: `the host interface ${name} is down`, show });
  if (!fitsLink(packet.size, link.mtu)) walk.stop('host-link', { what: `${name} has MTU ${link.mtu} and drops ${packet.size} bytes without a word`, show });
  passLimit(way, record, link);
  return link;
}

/** What a container sends is redirected to a device with a token bucket. */
function passLimit({ walk, node }: Way, record: AttachmentRecord, link: SeenLink): void {
  const wanted = record.port.bandwidth?.egress;
  const targets = node.redirectsOf(link.index).map((index) => node.findLinkByIndex(index));
  const show = `tc filter show dev ${link.name} ingress; tc -s qdisc show dev ${shaperName(link.name)}`;
  if (targets.length === 0) {
    if (wanted !== undefined) walk.note('bandwidth', { what: `the limit of ${wanted.rateBits} bit/s is missing`, show });
    return;
  }
  const [shaper] = targets;
  if (shaper === undefined || !shaper.isUp) return walk.stop('bandwidth', { what: `${link.name} hands what it receives to ${shaper?.name ?? 'a device that is gone'}, which is ${shaper === undefined ? 'not there' : 'down'}`, show });
  const [rate] = node.ratesOf(shaper.index);
  walk.ok('bandwidth', { what: `passes ${shaper.name}, ${rate === undefined ? 'without a limit' : `at most ${rate * 8n} bit/s`}: what comes faster is dropped`, show });
}

/** Bridges only: Open vSwitch guards its ports by its flows. @throws EndOfWay */
export function passGuard({ walk, node }: Way, { record, source, mac }: Sent, show: string = showPort(record, mac)): void {
  if (node.guardFaults.length > 0) return walk.lose('guard', { what: `${node.guardFaults.join('; ')}: what it lets pass is not known`, show: 'nft list table bridge weft' });
  const { port, hostIf } = record;
  if (!node.hasElement(openElement({ hostIf, mac }))) return walk.stop('guard', { what: `the guard is closed: ${hostIf} with MAC ${mac} is not in its set ports${describeClosed(record, node.hasElement(waitingElement({ hostIf, mac })))}`, show, ...closedFix(record) });
  const set = source.family === 4 ? 'addresses4' : 'addresses6';
  // Of IPv6 the first is the source's, and the second the link-local address's.
  const [first] = elementsOf({ ...port, addresses: [{ address: source, length: 0 }] }, set);
  const isOpen = port.addresses.length === 0 && elementsOf(port, 'open').every((element) => node.hasElement(element));
  walk.require(isOpen || (first !== undefined && node.hasElement(first)), 'guard', {
    good: `the guard lets ${hostIf} send as ${mac} and ${say(source)}`, bad: `the guard does not let ${hostIf} send as ${say(source)}: it is not in its set ${set}`,
    show: `nft get element ${bridgeTable.family} ${bridgeTable.table} ${set} '{ "${hostIf}" . ${say(source)} }'`, fix: isOwn(record, source) ? daemonMends : `${nameOf(record)} must send as one of its own addresses: a container cannot choose others`,
  });
}

function elementsOf(port: AttachmentRecord['port'], set: string): GuardElement[] {
  return portElements(port, { hasGateway: false }).filter((element) => element.set === set);
}

function isOwn({ port, mac }: AttachmentRecord, source: Sent['source']): boolean {
  return [...port.addresses.map(({ address }) => address), eui64LinkLocal(mac)].some((own) => own.family === source.family && own.value === source.value);
}

function showPort({ hostIf }: AttachmentRecord, mac: string): string {
  return `nft get element ${bridgeTable.family} ${bridgeTable.table} ports '{ "${hostIf}" . ${mac} }'`;
}

function describeClosed({ port: { migration }, mac }: AttachmentRecord, isWaiting: boolean): string {
  if (isWaiting) return ', for it waits for its machine, which is still on another node';
  if (migration === undefined) return `; the ledger has it with MAC ${mac}`;
  return `, for its endpoint is on its way (${migration.phase}), and the other node is ${say(migration.other)}`;
}

function closedFix({ port: { migration } }: AttachmentRecord): { fix?: string } {
  return migration === undefined ? {} : { fix: 'trace from the other node: weft migrate status says how far it is' };
}

/** It is a port of the tenant's bridge, which is up. @throws EndOfWay */
export function enterBridge(way: Way, link: SeenLink): SeenLink {
  const { walk, node } = way;
  const bridge = bridgeOf(way);
  const show = `bridge -d link show dev ${link.name}`;
  if (bridge === undefined) return walk.stop('bridge-port', { what: "the tenant's bridge is missing", show: 'ip -d link show type bridge' });
  const master = link.master === undefined ? undefined : node.findLinkByIndex(link.master);
  if (master?.index !== bridge.index) return walk.stop('bridge-port', { what: `${link.name} is ${master === undefined ? 'in no bridge' : `in ${master.name}`}, and not in ${bridge.name}`, show });
  walk.require(bridge.isUp, 'bridge-port', { good: `${link.name} is a port of ${bridge.name}, which is up`, bad: `${bridge.name} is down`, show: bridge.isUp ? show : `ip link show dev ${bridge.name}` });
  return bridge;
}
