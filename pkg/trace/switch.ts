/** Through Open vSwitch: the tables of flows as they are, carried out over the packet. Pure. */
import { addressFromBytes, isUnicastAddress, macFromBytes, parseAddress, parseMac, type Address, type Mac } from '../netaddr/netaddr.ts';
import { ports } from '../openflow/action.ts';
import { formatFlowName, formatInstructions } from '../openflow/format.ts';
import { etherTypes, ipProtocols } from '../openflow/match.ts';
import { evaluate, type Copy, type Evaluation, type PacketFields } from '../openflow/pipeline.ts';
import type { AttachmentRecord } from '../ledger/records.ts';
import { bridgeName, detourNames, tenantShaperName } from '../overlay/names.ts';
import { isClosed, isWaiting } from '../datapath/phases.ts';
import { macOf, type Arriving } from './arriving.ts';
import type { Exit } from './bridge.ts';
import type { Delivery } from './delivery.ts';
import type { SeenSwitchPort, SwitchSight } from './sight.ts';
import { requireVtep } from './underlay.ts';
import { hasAddress, inside, nameOf, ownerOf, recordAt, say, type Sent, type Way } from './way.ts';

const broadcast = parseMac('ff:ff:ff:ff:ff:ff');
const echoRequest6 = 128;
const [solicitation, arpRequest] = [135, 1] as const;

/** From a container of this node. @throws EndOfWay where no copy goes anywhere */
export function passSwitch(way: Way, sent: Sent): Exit {
  const seen = requireSwitch(way);
  const port = requirePort(way, seen, sent.record.hostIf);
  const to = sent.to ?? ask(way, { seen, port, sent });
  if (typeof to !== 'string') return to;
  const frame = { ...ipFields(way, sent.source), inPort: port.ofport, ethSrc: sent.mac, ethDst: to };
  return exitOf(way, { seen, copies: carryOut(way, seen, frame), mac: to });
}

/** From another node. @throws EndOfWay where it is not given to a container */
export function arriveOnSwitch(way: Way, { vtep, to }: Arriving): Delivery {
  requireVtep(way);
  const seen = requireSwitch(way);
  const tunnel = requirePort(way, seen, seen.tunnel);
  const mac = to ?? macOf(way);
  const tunnelled: PacketFields = { inPort: tunnel.ofport, tunnelId: BigInt(way.tenant.segment.vni), [vtep.family === 4 ? 'tunnelIpv4Src' : 'tunnelIpv6Src']: vtep };
  // Whoever sends has a MAC of its own; which one makes no difference to what is known of the receiver.
  const copies = carryOut(way, seen, { ...ipFields(way, undefined), ...tunnelled, ethSrc: parseMac('02:00:00:00:00:01'), ethDst: mac });
  const exit = exitOf(way, { seen, copies, mac });
  if (exit.kind === 'port') return { record: exit.record, to: mac };
  return way.walk.stop('switch-flow', { what: `the flows send what came for ${mac} to ${exit.kind === 'host' ? 'the gateway' : 'another node'}`, show: `ovs-ofctl -O OpenFlow13 dump-flows ${seen.bridge}`, fix: 'its endpoint is not here: trace where it is' });
}

function requireSwitch({ walk, node }: Way): SwitchSight {
  const seen = node.switch;
  if (seen === undefined || seen.obstacle !== undefined) return walk.stop('switch', { what: `Open vSwitch does not answer: ${seen?.obstacle ?? 'it was not found'}`, show: 'ovs-vsctl show', fix: 'start ovsdb-server and ovs-vswitchd: docs/ovs.md' });
  walk.ok('switch', { what: `the bridge ${seen.bridge} has ${seen.flows.length} flows`, show: `ovs-ofctl -O OpenFlow13 dump-tables ${seen.bridge}` });
  return seen;
}

type OpenPort = SeenSwitchPort & { readonly ofport: number };

function requirePort({ walk }: Way, seen: SwitchSight, name: string): OpenPort {
  const port = seen.ports.find((one) => one.name === name);
  const show = `ovs-vsctl --columns=name,ofport,error find interface name=${name}`;
  if (port?.ofport === undefined) return walk.stop('switch-port', { what: port === undefined ? `${name} is no port of ${seen.bridge}` : `Open vSwitch cannot open ${name}${port.error === undefined ? '' : `: ${port.error}`}`, show });
  walk.ok('switch-port', { what: `${name} is port ${port.ofport} of ${seen.bridge}`, show });
  return { ...port, ofport: port.ofport };
}

/** The fields of the packet itself; without a source it is somebody's whom no flow knows. */
function ipFields({ packet }: Pick<Way, 'packet'>, source: Address | undefined): PacketFields {
  const { destination, protocol, port } = packet;
  const layer4: PacketFields = protocol === 'icmp' ? {} : protocol === 'tcp' ? { tcpDst: port ?? 0 } : { udpDst: port ?? 0 };
  if (destination.family === 4) return { ethType: etherTypes.ipv4, ipv4Src: source ?? parseAddress('0.0.0.0'), ipv4Dst: destination, ipProto: ipProtocols[protocol], ...layer4 };
  return { ethType: etherTypes.ipv6, ipv6Src: source ?? parseAddress('::'), ipv6Dst: destination, ipProto: protocol === 'icmp' ? ipProtocols.icmpv6 : ipProtocols[protocol], ...(protocol === 'icmp' ? { icmpv6Type: echoRequest6 } : layer4) };
}

/** One step for each table; a copy for each that leaves. @throws EndOfWay where there is none */
function carryOut(way: Way, seen: SwitchSight, frame: PacketFields): readonly Copy[] {
  const { walk } = way;
  const found = evaluate(seen.flows, frame);
  const show = (table: number): string => `ovs-ofctl -O OpenFlow13 dump-flows ${seen.bridge} table=${table}`;
  const nameOfTable = (table: number): string => `table ${table} (${seen.tableName(table)})`;
  for (const { table, flow } of found.visits) {
    if (flow !== undefined) walk.ok('switch-flow', { what: `${nameOfTable(table)}: ${formatFlowName(flow).replace(/^table=\d+, /, '')} does ${formatInstructions(flow.instructions)}`, show: show(table) });
  }
  const last = found.visits.at(-1);
  const table = last?.table ?? 0;
  if (found.unknown !== undefined) return walk.lose('switch-flow', { what: found.unknown, show: show(table) });
  const back = passDetour(way, seen, { frame, copies: found.copies });
  if (back !== undefined) return carryOut(way, seen, { ...frame, inPort: back });
  if (found.copies.length > 0) return found.copies;
  return walk.stop('switch-flow', { what: last?.flow === undefined ? `no flow of ${nameOfTable(table)} takes it: it is dropped` : `the flow in ${nameOfTable(table)} sends it nowhere: it is dropped`, show: show(table), fix: fixOf(found) });
}

interface Carried {
  readonly frame: PacketFields;
  readonly copies: readonly Copy[];
}

/** The port by which a frame comes back that goes through its tenant's limit; undefined where it does not go there. @throws EndOfWay where it does not come back */
function passDetour({ walk, node, tenant }: Way, seen: SwitchSight, { frame, copies }: Carried): number | undefined {
  const names = detourNames(tenant.segment.vni);
  const [into, outOf] = [names.into, names.outOf].map((name) => seen.ports.find((port) => port.name === name)?.ofport);
  if (into === undefined || outOf === frame.inPort || !copies.some(({ port }) => port === into)) return undefined;
  const link = node.findLink(names.into);
  const shapers = link === undefined ? [] : node.redirectsOf(link.index, 'egress').map((index) => node.findLinkByIndex(index));
  const way = [link, ...shapers, node.findLink(names.outOf)];
  const show = `tc filter show dev ${names.into} egress; tc -s qdisc show dev ${tenantShaperName(tenant.segment.vni, 'egress')}`;
  if (outOf === undefined || way.some((one) => one?.isUp !== true)) return walk.stop('bandwidth', { what: `what containers of tenant ${tenant.segment.tenant} send goes to ${names.into}, to pass their limit, and does not come out of ${names.outOf}`, show });
  const [shaper] = shapers;
  const [rate] = shaper === undefined ? [] : node.ratesOf(shaper.index);
  walk.ok('bandwidth', { what: `passes ${shaper?.name ?? names.into}, ${rate === undefined ? 'without a limit' : `at most ${rate * 8n} bit/s`} for all containers of the tenant, and comes back by ${names.outOf}`, show });
  return outOf;
}

function fixOf({ visits }: Evaluation): string {
  const mend = 'where a flow is missing, a running daemon puts it back within seconds: weft status';
  return visits.length === 1 ? `the container may send as itself alone; ${mend}` : mend;
}

interface Asking {
  readonly seen: SwitchSight;
  readonly port: OpenPort;
  readonly sent: Sent;
}

/** The MAC that the question brings back; or where the question goes. */
function ask(way: Way, { seen, port, sent }: Asking): Mac | Exit {
  const { walk } = way;
  const { nextHop, neighbour, record } = sent;
  const common = { inPort: port.ofport, ethSrc: sent.mac };
  const copies = carryOut(way, seen, nextHop.family === 4 ? { ...common, ...arpFields(sent) } : { ...common, ...solicitationFields(sent) });
  const answer = copies.find((copy) => copy.port === ports.inPort);
  const show = `ovs-ofctl -O OpenFlow13 dump-flows ${seen.bridge} table=10`;
  if (answer !== undefined) {
    const mac = macFromBits(answer.read('arpSha'));
    walk.ok('answer', { what: `the switch answers for ${say(nextHop)}: ${mac}`, show });
    return mac;
  }
  const owner = ownerOf(way.tenant, nextHop);
  const reaches = (name: string): boolean => copies.some((copy) => seen.ports.some((one) => one.name === name && one.ofport === copy.port));
  if (owner !== undefined && reaches(owner.hostIf)) return answerOfOwner(way, owner, nextHop);
  const gateway = way.node.findLink(bridgeName(way.tenant.segment.vni));
  if (gateway?.mac !== undefined && reaches(gateway.name) && hasAddress(way.node, gateway.index, nextHop)) {
    walk.ok('answer', { what: `the gateway on this node answers for ${say(nextHop)}: ${gateway.mac}`, show });
    return gateway.mac;
  }
  if (neighbour?.state === 'failed') return walk.stop('answer', { what: `nobody answers for ${say(nextHop)}: no container here has it, and the peers were asked in vain`, show: inside(record, `ip neigh show ${say(nextHop)}`), fix: 'is there such an endpoint? On each peer: weft endpoints' });
  const vteps = vtepsOf(seen, copies);
  if (vteps.length === 0) return walk.stop('answer', { what: `nobody answers for ${say(nextHop)}: no container here has it, and the question goes to no peer`, show, fix: 'is there such an endpoint? If it is on another node, that one must be a peer' });
  const told = directedTo(copies);
  walk.ok('answer', { what: told === undefined ? `nobody on this node has ${say(nextHop)}: the question goes to the peers ${vteps.map(say).join(', ')}` : `the question goes to ${say(nextHop)}'s owner alone, ${told} at ${vteps.map(say).join(', ')}`, show });
  return told ?? { kind: 'vteps', vteps, mac: undefined };
}

/** Neighbour discovery for an endpoint that is known is sent to its MAC. */
function directedTo(copies: readonly Copy[]): Mac | undefined {
  const [copy] = copies;
  const mac = copy === undefined || copies.length > 1 ? undefined : macFromBits(copy.read('ethDst'));
  return mac === undefined || (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1 ? undefined : mac;
}

function arpFields({ mac, source, nextHop }: Sent): PacketFields {
  return { ethDst: broadcast, ethType: etherTypes.arp, arpOp: arpRequest, arpSha: mac, arpSpa: source, arpTpa: nextHop };
}

/** RFC 4861 §4.3, to the solicited-node group (RFC 4291 §2.7.1). */
function solicitationFields({ mac, source, nextHop }: Sent): PacketFields {
  const last24 = nextHop.value & 0xffffffn;
  const group: Address = { family: 6, value: (parseAddress('ff02::1:ff00:0').value) | last24 };
  const ethDst = macFromBits((0x3333ffn << 24n) | last24);
  return { ethDst, ethType: etherTypes.ipv6, ipProto: ipProtocols.icmpv6, ipv6Src: source, ipv6Dst: group, icmpv6Type: solicitation, icmpv6Code: 0, ndTarget: nextHop, ndSll: mac };
}

function macFromBits(bits: bigint): Mac {
  return macFromBytes(Buffer.from(bits.toString(16).padStart(12, '0'), 'hex'));
}

function answerOfOwner({ walk, node }: Way, owner: AttachmentRecord, address: Address): Mac {
  const { containerIf } = owner.port;
  const link = node.inContainer(owner, (container) => {
    const found = container.findLink(containerIf);
    return found?.isUp === true && (found.master !== undefined || hasAddress(container, found.index, address)) ? found : undefined;
  });
  const show = inside(owner, `ip address show dev ${containerIf}`);
  if (link === undefined) return walk.stop('delivery-address', { what: `nobody answers for ${say(address)}: ${nameOf(owner)} should, and does not have it on an interface ${containerIf} that is up`, show });
  walk.ok('answer', { what: `${nameOf(owner)} on this node answers for ${say(address)}: ${link.mac ?? owner.mac}`, show });
  return link.mac ?? owner.mac;
}

/** The VTEPs that copies go to by the tunnel. */
function vtepsOf(seen: SwitchSight, copies: readonly Copy[]): readonly Address[] {
  const tunnels = new Set(seen.ports.filter(({ isTunnel }) => isTunnel).map(({ ofport }) => ofport));
  return copies.filter(({ port }) => tunnels.has(port)).flatMap((copy) => {
    const four = copy.read('tunnelIpv4Dst');
    const address: Address = four === 0n ? addressFromBytes(Buffer.from(copy.read('tunnelIpv6Dst').toString(16).padStart(32, '0'), 'hex')) : { family: 4, value: four };
    return isUnicastAddress(address) ? [address] : [];
  });
}

interface Leaving {
  readonly seen: SwitchSight;
  readonly copies: readonly Copy[];
  readonly mac: Mac;
}

/** Where the copies go: a container of this node before the host, that before other nodes; a copy that is relayed for one on its way is none of the sender's. */
function exitOf(way: Way, { seen, copies, mac }: Leaving): Exit {
  const { walk, node, tenant } = way;
  const names = new Set(copies.flatMap(({ port }) => seen.ports.find(({ ofport }) => ofport === port)?.name ?? []));
  const record = [...names].map((name) => recordAt(tenant, name)).find((found) => found !== undefined);
  if (record !== undefined) {
    if (isWaiting(record.port) || isClosed(record.port)) walk.note('delivery-guard', { what: `${nameOf(record)} is on its way between nodes (${record.port.migration?.phase ?? ''}): a gate of its own may keep it from ${record.hostIf}`, show: 'nft list tables netdev' });
    return { kind: 'port', record, mac };
  }
  const owner = tenant.records.find((one) => one.mac === mac && !isClosed(one.port));
  if (owner !== undefined) return walk.stop('switch-flow', { what: `the flows send what is for ${mac} to ${[...names].join(', ')}, and its endpoint ${nameOf(owner)} is here, at ${owner.hostIf}`, show: `ovs-ofctl -O OpenFlow13 dump-flows ${seen.bridge} dl_dst=${mac}` });
  const gateway = node.findLink(bridgeName(tenant.segment.vni));
  if (gateway !== undefined && names.has(gateway.name)) return { kind: 'host', link: gateway };
  const vteps = vtepsOf(seen, copies);
  if (vteps.length > 0) return { kind: 'vteps', vteps, mac };
  return walk.lose('switch-flow', { what: `the flows send it to port ${copies.map(({ port }) => port).join(', ')}, which is none of weft's`, show: 'ovs-vsctl --columns=name,ofport list interface' });
}
