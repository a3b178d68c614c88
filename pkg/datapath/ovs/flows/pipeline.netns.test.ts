/** The pipeline as weft carries it out over a packet, beside Open vSwitch's own trace of the same packet and flows. */
import t from 'tap';
import { parseAddress, parseMac, parseVni, type Address, type Mac } from '../../../netaddr/netaddr.ts';
import { ports } from '../../../openflow/action.ts';
import { formatMatch } from '../../../openflow/format.ts';
import type { ListedFlow } from '../../../openflow/flow.ts';
import { etherTypes, ipProtocols } from '../../../openflow/match.ts';
import { listFlows } from '../../../openflow/openflow.ts';
import { evaluate, type PacketFields } from '../../../openflow/pipeline.ts';
import { gatewayMac } from '../../../overlay/gateway-mac.ts';
import { randomFrom, testSeed } from '../../../testing/random.ts';
import { openVSwitchTools } from '../../../testing/openvswitch.ts';
import { skipUnless } from '../../../testing/requirements.ts';
import { flowsOfPort, remoteFlows } from './flows.ts';
import { createHub, createSwitchNode, type SwitchNode } from './test-nodes.ts';

t.setTimeout(120_000);
const skip = skipUnless({ root: true, tools: [...openVSwitchTools, 'nft'] });
const blue = parseVni(1001);
const packetsTried = 200;
const remoteMac = parseMac('02:00:00:00:00:20');
const macs: readonly Mac[] = [1, 2, 3, 0x20, 0x99].map((n) => parseMac(`02:00:00:00:00:${n.toString(16).padStart(2, '0')}`)).concat(gatewayMac(blue));
const groups: readonly Mac[] = [parseMac('ff:ff:ff:ff:ff:ff'), parseMac('33:33:ff:00:00:02'), parseMac('01:80:c2:00:00:0e')];
const four: readonly Address[] = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.20', '10.0.0.99', '0.0.0.0'].map((text) => parseAddress(text));
const six: readonly Address[] = ['fd00::1', 'fd00::2', 'fd00::3', 'fd00::20', 'fd00::99', 'fe80::ff:fe00:1', '::'].map((text) => parseAddress(text));

type Pick = <T>(items: readonly T[]) => T;

function randomPacket(pick: Pick, peer: Address): PacketFields {
  const inPort = pick([101, 101, 102, 103, 1, 1, 50]);
  const tunnel: PacketFields = inPort === 1 ? { tunnelId: pick([1001n, 1001n, 1002n, 16776214n]), tunnelIpv4Src: pick([peer, peer, parseAddress('192.0.2.99')]) } : {};
  const own = macs[inPort - 101];
  const ethSrc = own === undefined ? pick(macs) : pick([own, own, own, pick(macs)]);
  return { inPort, ...tunnel, ethSrc, ethDst: pick([...macs, ...groups]), ...pick([ipPacket, arpPacket, rarpPacket, ip6Packet, discoveryPacket])(pick, ethSrc) };
}

function ipPacket(pick: Pick): PacketFields {
  return { ethType: etherTypes.ipv4, ipv4Src: pick(four), ipv4Dst: pick(four), ipProto: ipProtocols.udp, udpDst: pick([53, 4789]) };
}

function arpPacket(pick: Pick, from: Mac): PacketFields {
  return { ethType: etherTypes.arp, arpOp: pick([1, 1, 2]), arpSha: pick([from, from, remoteMac]), arpSpa: pick(four), arpTpa: pick(four) };
}

function rarpPacket(_pick: Pick, from: Mac): PacketFields {
  return { ethType: etherTypes.rarp, arpOp: 3, arpSha: from };
}

function ip6Packet(pick: Pick): PacketFields {
  return { ethType: etherTypes.ipv6, ipv6Src: pick(six), ipv6Dst: pick(six), ipProto: ipProtocols.icmpv6, icmpv6Type: pick([128, 133, 143]), icmpv6Code: 0 };
}

function discoveryPacket(pick: Pick, from: Mac): PacketFields {
  const type = pick([135, 136]);
  return { ethType: etherTypes.ipv6, ipv6Src: pick(six), ipv6Dst: pick([...six, parseAddress('ff02::1')]), ipProto: ipProtocols.icmpv6, icmpv6Type: type, icmpv6Code: 0, ndTarget: pick(six), ...(type === 135 ? { ndSll: pick([from, remoteMac]) } : { ndTll: pick([from, remoteMac]) }) };
}

/** Tables with priorities, and ports, as `ofproto/trace` prints them for the first bridge. */
function ownTrace({ openVSwitch }: SwitchNode, packet: PacketFields): { readonly way: readonly string[]; readonly out: readonly string[]; readonly text: string } {
  // Of names that several protocols share a packet takes the first one's.
  const words = formatMatch(packet).replaceAll('icmp_', 'icmpv6_').replaceAll('tp_dst', 'udp_dst');
  const text = openVSwitch.appctl('ovs-vswitchd', 'ofproto/trace', 'br-int', words);
  const [, first = ''] = text.split('bridge("');
  const way = [...first.matchAll(/^ *(\d+)\. (?:.*priority (\d+)|No match)/gm)].map(([, table, priority]) => `${table ?? ''} ${priority ?? 'none'}`);
  const out = [...first.matchAll(/^ +(output:\d+|IN_PORT)\n( +>> skipping output to input port)?/gm)].filter(([, , skipped]) => skipped === undefined).map(([, port]) => port ?? '');
  return { way, out, text };
}

function carriedOut(flows: readonly ListedFlow[], packet: PacketFields): { readonly way: readonly string[]; readonly out: readonly string[] } {
  const { visits, copies, unknown } = evaluate(flows, packet);
  if (unknown !== undefined) return { way: [unknown], out: [] };
  return { way: visits.map(({ table, flow }) => `${table} ${flow?.priority ?? 'none'}`), out: copies.map(({ port }) => (port === ports.inPort ? 'IN_PORT' : `output:${port}`)) };
}

void t.test('the way of packets through the tables', { skip }, async (t) => {
  const hub = createHub(t);
  const [node, peer] = [await createSwitchNode(t, hub, 1), parseAddress('192.0.2.2')];
  const network = await node.addTenant(blue, [peer], { addresses: [{ address: parseAddress('10.0.0.254'), length: 24 }], masquerade: false });
  for (const number of [1, 2]) await node.attach(network, { number });
  // One that waits for its machine has flows with resubmit and learn.
  const waiting = node.addContainer({ vni: blue, number: 3 });
  await node.add(flowsOfPort(network, { ...waiting, port: { ...waiting.port, migration: { id: 'one', phase: 'waiting', other: peer, since: 0 } } }));
  await node.add(remoteFlows(network, { mac: remoteMac, addresses: [parseAddress('10.0.0.20'), parseAddress('fd00::20')], vtep: peer }));
  const flows = await listFlows(node.connection);
  const seed = testSeed();
  const random = randomFrom(seed);
  const pick: Pick = (items) => items[random(items.length)] as never;
  t.comment(`seed ${seed}, ${flows.length} flows`);
  const ends = new Map<string, number>();
  for (let tried = 0; tried < packetsTried; tried += 1) {
    const packet = randomPacket(pick, peer);
    const [mine, { way, out, text }] = [carriedOut(flows, packet), ownTrace(node, packet)];
    ends.set(way.at(-1) ?? '', (ends.get(way.at(-1) ?? '') ?? 0) + 1);
    if (!t.same(mine, { way, out }, formatMatch(packet))) return t.comment(text);
  }
  t.ok(ends.size > 5, `they ended in ${[...ends].map(([end, count]) => `${end} (${count})`).join(', ')}`);
});
