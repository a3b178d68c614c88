/** Flows of every kind weft can express, for tests of the codec and of a real switch. */
import { parseAddress, parseMac, parsePrefix } from '../netaddr/netaddr.ts';
import { load, move, output, partOf, ports, resubmit, setField, toController, toGroup } from './action.ts';
import type { Flow } from './flow.ts';
import { etherTypes, ipProtocols, untagged, withinPrefix, type Match } from './match.ts';
import type { Instructions } from './instruction.ts';

const mac = parseMac('02:00:00:00:00:01');
const otherMac = parseMac('02:00:00:00:00:02');
const address = parseAddress('10.0.0.1');
const vtep = parseAddress('172.30.0.2');
const address6 = parseAddress('2001:db8::1');
const arp = { ethType: etherTypes.arp } as const;
const ipv4 = { ethType: etherTypes.ipv4 } as const;
const ipv6 = { ethType: etherTypes.ipv6 } as const;
const solicitation = { ...ipv6, ipProto: ipProtocols.icmpv6, icmpv6Type: 135, icmpv6Code: 0 } as const;

/** A group that must be there before the flows are. */
export const testGroup = 7;
/** A meter that must be there before the flows are. */
export const testMeter = 3;

/** A match for every field, alone and with a mask, and what ovs-ofctl(8) calls it. */
export const testMatches: readonly (readonly [text: string, match: Match])[] = [
  ['', {}],
  ['in_port=101', { inPort: 101 }],
  ['in_port=LOCAL', { inPort: ports.local }],
  ['metadata=0x3e9', { metadata: 1001n }],
  ['metadata=0x300000000/0xff00000000', { metadata: { value: 0x300000001n, mask: 0xff00000000n } }],
  ['reg0=0x5,reg7=0x1/0xff', { reg7: { value: 1, mask: 255 }, reg0: 5 }],
  ['tun_id=0x3e9,in_port=1', { inPort: 1, tunnelId: 1001n }],
  ['tun_id=0x3e9,tun_src=172.30.0.2,tun_dst=172.30.0.2,in_port=1', { inPort: 1, tunnelId: 1001n, tunnelIpv4Src: vtep, tunnelIpv4Dst: vtep }],
  ['tun_src=172.30.0.0/24', { tunnelIpv4Src: withinPrefix(parsePrefix('172.30.0.0/24')) }],
  ['tun_ipv6_src=2001:db8::1,tun_ipv6_dst=2001:db8::/64', { tunnelIpv6Src: address6, tunnelIpv6Dst: withinPrefix(parsePrefix('2001:db8::/64')) }],
  ['dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:02', { ethDst: otherMac, ethSrc: mac }],
  ['dl_dst=01:00:00:00:00:00/01:00:00:00:00:00', { ethDst: { value: parseMac('ff:ff:ff:ff:ff:ff'), mask: parseMac('01:00:00:00:00:00') } }],
  ['dl_type=0x88cc', { ethType: 0x88cc }],
  ['vlan_tci=0x0000/0x1000', { vlanVid: untagged }],
  ['dl_vlan=5', { vlanVid: 0x1005 }],
  ['vlan_tci=0x1000/0x1000', { vlanVid: { value: 0x1000, mask: 0x1000 } }],
  ['dl_vlan=5,dl_vlan_pcp=3', { vlanPcp: 3, vlanVid: 0x1005 }],
  ['vlan_tci=0x0000/0x1fff', { vlanVid: 0 }],
  ['arp,arp_spa=10.0.0.1,arp_tpa=10.0.0.1,arp_op=1,arp_sha=02:00:00:00:00:01,arp_tha=02:00:00:00:00:02', { ...arp, arpOp: 1, arpSpa: address, arpTpa: address, arpSha: mac, arpTha: otherMac }],
  ['rarp,dl_src=02:00:00:00:00:01', { ethSrc: mac, ethType: etherTypes.rarp }],
  ['ip,nw_src=10.0.0.1', { ...ipv4, ipv4Src: address }],
  ['ip,nw_src=10.0.0.0/8,nw_dst=10.0.0.1/255.0.0.255', { ...ipv4, ipv4Src: withinPrefix(parsePrefix('10.0.0.0/8')), ipv4Dst: { value: address, mask: parseAddress('255.0.0.255') } }],
  ['ip,nw_proto=112', { ...ipv4, ipProto: 112 }],
  ['icmp', { ...ipv4, ipProto: ipProtocols.icmp }],
  ['udp,tp_src=68,tp_dst=67', { ...ipv4, ipProto: ipProtocols.udp, udpSrc: 68, udpDst: 67 }],
  ['udp,tp_dst=0x12b0/0xfff0', { ...ipv4, ipProto: ipProtocols.udp, udpDst: { value: 4789, mask: 0xfff0 } }],
  ['tcp,tp_src=1,tp_dst=80', { ...ipv4, ipProto: ipProtocols.tcp, tcpSrc: 1, tcpDst: 80 }],
  ['ipv6,ipv6_src=2001:db8::1,ipv6_dst=2001:db8::/64', { ...ipv6, ipv6Src: address6, ipv6Dst: withinPrefix(parsePrefix('2001:db8::/64')) }],
  ['udp6,tp_dst=547', { ...ipv6, ipProto: ipProtocols.udp, udpDst: 547 }],
  ['tcp6,tp_dst=80', { ...ipv6, ipProto: ipProtocols.tcp, tcpDst: 80 }],
  ['icmp6,icmp_type=135,icmp_code=0,nd_target=2001:db8::1,nd_sll=02:00:00:00:00:01', { ...solicitation, ndTarget: address6, ndSll: mac }],
  ['icmp6,icmp_type=136,icmp_code=0,nd_target=2001:db8::/64,nd_tll=02:00:00:00:00:01', { ...solicitation, icmpv6Type: 136, ndTarget: withinPrefix(parsePrefix('2001:db8::/64')), ndTll: mac }],
];

/** Matches that Open vSwitch lists in another form, or that ovs-ofctl(8) does not print. */
export const moreMatches: readonly Match[] = [
  { vlanTci: { value: 0, mask: 0x1000 } },
  { vlanTci: 0x7005 },
  { vlanTci: { value: 0x1007, mask: 0x1fff } },
  { metadata: { value: 7n, mask: 0n }, ethDst: { value: mac, mask: parseMac('ff:ff:ff:ff:ff:ff') } },
  { ...solicitation, ndOptionsType: 1 },
  { ...solicitation, ndReserved: 0x20000000 },
];

/** The answer to an ARP request, made of the request: the responder of an overlay. */
export const arpAnswer: Instructions = {
  apply: [
    move('ethSrc', 'ethDst'),
    setField('ethSrc', otherMac),
    setField('arpOp', 2),
    move('arpSha', 'arpTha'),
    move('arpSpa', 'arpTpa'),
    setField('arpSha', otherMac),
    setField('arpSpa', parseAddress('10.0.0.2')),
    output(ports.inPort),
  ],
};

/** The answer to a neighbour solicitation, made of the solicitation. */
const neighbourAnswer: Instructions = {
  apply: [
    move('ethSrc', 'ethDst'),
    setField('ethSrc', otherMac),
    move('ipv6Src', 'ipv6Dst'),
    setField('ipv6Src', address6),
    setField('ndSll', otherMac),
    setField('icmpv6Type', 136),
    setField('ndOptionsType', 2),
    setField('ndReserved', 0x60000000),
    output(ports.inPort),
  ],
};

/** What can be done in table 0, with a match under which it can, and what ovs-ofctl(8) calls it. */
export const testInstructions: readonly (readonly [text: string, match: Match, instructions: Instructions])[] = [
  ['drop', {}, {}],
  ['output:5', {}, { apply: [output(5)] }],
  ['CONTROLLER:65535', {}, { apply: [toController()] }],
  ['CONTROLLER:128,IN_PORT,LOCAL,NORMAL,FLOOD,ALL', {}, { apply: [toController({ maxBytes: 128 }), ...[ports.inPort, ports.local, ports.normal, ports.flood, ports.all].map(output)] }],
  ['group:7', {}, { apply: [toGroup(testGroup)] }],
  ['set_field:0x3e9->tun_id,write_metadata:0x3e9,goto_table:10', {}, { apply: [setField('tunnelId', 1001n)], writeMetadata: 1001n, gotoTable: 10 }],
  ['set_field:172.30.0.2->tun_dst,output:1', {}, { apply: [setField('tunnelIpv4Dst', vtep), output(1)] }],
  ['set_field:2001:db8::1->tun_ipv6_dst,output:1', {}, { apply: [setField('tunnelIpv6Dst', address6), output(1)] }],
  ['set_field:0x5->reg0,resubmit(,10)', {}, { apply: [setField('reg0', 5), resubmit(10)] }],
  ['resubmit(3,10)', {}, { apply: [resubmit(10, { port: 3 })] }],
  ['write_metadata:0x5/0xff', {}, { writeMetadata: { value: 5n, mask: 0xffn } }],
  ['meter:3,clear_actions,write_actions(output:2),goto_table:10', {}, { meter: testMeter, clear: true, write: [output(2)], gotoTable: 10 }],
  ['load:0x1->reg0[],load:0x3->reg1[4..7],load:0x1->tun_id[31]', {}, { apply: [load(1n, 'reg0'), load(3n, { field: 'reg1', offset: 4, bits: 4 }), load(1n, { field: 'tunnelId', offset: 31, bits: 1 })] }],
  ['move:reg0[0..15]->reg1[16..31]', {}, { apply: [move({ field: 'reg0', offset: 0, bits: 16 }, { field: 'reg1', offset: 16, bits: 16 })] }],
  [
    'move:eth_src[]->eth_dst[],set_field:02:00:00:00:00:02->eth_src,set_field:2->arp_op,move:arp_sha[]->arp_tha[],move:arp_spa[]->arp_tpa[],set_field:02:00:00:00:00:02->arp_sha,set_field:10.0.0.2->arp_spa,IN_PORT',
    { ...arp, arpOp: 1 },
    arpAnswer,
  ],
  ['load:0x2->arp_op[],load:0xa000001->arp_spa[],load:0x20000000001->arp_sha[]', arp, { apply: [load(2n, 'arpOp'), load(0x0a000001n, 'arpSpa'), load(0x020000000001n, 'arpSha')] }],
  [
    'move:eth_src[]->eth_dst[],set_field:02:00:00:00:00:02->eth_src,move:ipv6_src[]->ipv6_dst[],set_field:2001:db8::1->ipv6_src,set_field:02:00:00:00:00:02->nd_sll,set_field:136->icmpv6_type,set_field:2->nd_options_type,set_field:0x60000000->nd_reserved,IN_PORT',
    solicitation,
    neighbourAnswer,
  ],
  ['set_field:10.0.0.1->ip_src,set_field:10.0.0.1->ip_dst,output:1', ipv4, { apply: [setField('ipv4Src', address), setField('ipv4Dst', address), output(1)] }],
  ['set_field:1->udp_src,set_field:2->udp_dst,output:1', { ...ipv4, ipProto: ipProtocols.udp }, { apply: [setField('udpSrc', 1), setField('udpDst', 2), output(1)] }],
  [
    'learn(table=5,idle_timeout=0,hard_timeout=60,priority=100,cookie=0x3,in_port_oxm[]=in_port_oxm[],eth_dst[]=eth_src[],metadata[0..31]=0x3e9,load:0x1->reg0[],output:in_port_oxm[]),NORMAL',
    { ethType: etherTypes.rarp },
    {
      apply: [
        {
          kind: 'learn', table: 5, priority: 100, cookie: 3n, idleTimeoutSeconds: 0, hardTimeoutSeconds: 60,
          specs: [
            { kind: 'match', source: partOf('inPort'), to: partOf('inPort') },
            { kind: 'match', source: partOf('ethSrc'), to: partOf('ethDst') },
            { kind: 'match', source: { value: 1001n, bits: 32 }, to: { field: 'metadata', offset: 0, bits: 32 } },
            { kind: 'load', source: { value: 1n, bits: 32 }, to: partOf('reg0') },
            { kind: 'output', source: partOf('inPort') },
          ],
        },
        output(ports.normal),
      ],
    },
  ],
];

/** All of it as flows of table 0, each of a priority of its own. */
export const testFlows: readonly Flow[] = [
  ...[...testMatches.map(([, match]) => match), ...moreMatches].map((match) => ({ match, instructions: {} })),
  ...testInstructions.map(([, match, instructions]) => ({ match, instructions })),
  { match: {}, instructions: {}, cookie: 0x8000000000000001n, idleTimeoutSeconds: 600, hardTimeoutSeconds: 65535 },
  { match: {}, instructions: {}, flags: ['sendFlowRemoved', 'noPacketCounts', 'noByteCounts'] as const },
].map((flow, index) => ({ table: 0, priority: 1000 + index, ...flow }));
