import t from 'tap';
import { parseAddress, parseInterfaceAddress, parseMac, parseVni, vniMax } from '../../netaddr/netaddr.ts';
import { keyOf } from '../../nftables/nftables.ts';
import type { AttachmentPort, MigrationPhase, Segment } from '../../overlay/model.ts';
import { gatewaySets, gatewayTable } from './gateway-rules.ts';
import { isProbeKey, knownElements, openedElements, portElements, probeElements, relayElements, segmentElements, type GuardElement } from './guard-elements.ts';
import { bridgeSets, bridgeTable, inetSets, inetTable } from './guard-rules.ts';

/** Elements as text: the set, then the key's parts in hexadecimal. */
function describe(elements: readonly GuardElement[]): readonly string[] {
  return elements.map(({ table, set, key }) => `${table.family} ${table.table} ${set} ${key.map((part) => Buffer.from(part).toString('hex')).join(' ')}`);
}

function name(text: string): string {
  return Buffer.from(text.padEnd(16, '\0')).toString('hex');
}

const port: AttachmentPort = {
  vni: parseVni(1), hostIf: 'weft-pabcdefghi', containerIf: 'eth0', mac: parseMac('02:77:0a:01:01:05'), mtu: 1450, alias: '', routes: [],
  addresses: [parseInterfaceAddress('10.1.1.5/24'), parseInterfaceAddress('2001:db8::5/64')],
};
const hostIf = name(port.hostIf);
const guarded = [
  `bridge weft ports ${hostIf} 02770a010105`,
  `bridge weft addresses4 ${hostIf} 0a010105`,
  `bridge weft addresses6 ${hostIf} 20010db8000000000000000000000005`,
  // The link-local address its kernel makes from the MAC.
  `bridge weft addresses6 ${hostIf} fe8000000000000000770afffe010105`,
];
t.same(describe(portElements(port, { hasGateway: false })), guarded);
t.same(describe(portElements(port, { hasGateway: true })), [...guarded, `bridge weft gateway_ports ${hostIf}`]);
t.same(describe(portElements({ ...port, addresses: [] }, { hasGateway: false })), [`bridge weft ports ${hostIf} 02770a010105`, `bridge weft open ${hostIf}`], 'layer 2: any address, its own MAC');

const segment: Segment = {
  tenant: 'blue', vni: parseVni(vniMax), vtepAddress: parseAddress('192.0.2.1'), vtepPort: 4789, underlayMtu: 1500, overlayMtu: 1450,
  peers: [parseAddress('192.0.2.2'), parseAddress('2001:db8::2')],
};
/** 24 bits of VNI and 8 of zero, and then turned to the machine's byte order. */
const vniKey = '00ffffff';
const base = [`inet weft segments 12b5 ${vniKey}`, `inet weft vteps4 c0000202 12b5 ${vniKey}`, `inet weft vteps6 20010db8000000000000000000000002 12b5 ${vniKey}`];
t.same(describe(segmentElements(segment)), base);
t.same(describe(segmentElements({ ...segment, peers: [] })), base.slice(0, 1), 'without peers nobody may send');
const evpn = { ...segment, controlPlane: 'evpn' } as const;
t.same(describe(segmentElements(evpn)), [...base, 'inet weft segments 60d5 00000000'], 'its spare tunnel is closed for everybody');
t.same(describe(segmentElements({ ...evpn, vni: parseVni(0x010203), peers: [] })), ['inet weft segments 12b5 00030201', 'inet weft segments 60d5 00fcfdfe']);
t.same(segmentElements({ ...segment, datapath: 'ovs' }), []);
t.same(describe(segmentElements({ ...evpn, datapath: 'ovs' })), ['inet weft segments 60d5 00ffffff'], 'its stand-in is closed as well');
t.same(describe(segmentElements({ ...segment, vni: parseVni(0x010203), vtepPort: 65535, peers: [] })), ['inet weft segments ffff 00030201']);

const [bridge, vxlan, mac] = [name('weft-br16777215'), name('weft-vx16777215'), '0e7767ffffff'];
const gateway = { addresses: [parseInterfaceAddress('10.1.1.1/24')], masquerade: false };
const gated = [
  ...base, `bridge weft gateway_ports ${vxlan}`, `bridge weft gateway_macs ${vxlan} ${mac}`, `inet weft gateways ${bridge} ${mac}`,
  'inet weft-gateway vtep_ports 12b5', 'inet weft-gateway vtep_ports 60d6', `inet weft-gateway gateway_bridges ${bridge}`, `inet weft-gateway same_tenant ${bridge} ${bridge}`,
];
t.same(describe(segmentElements({ ...segment, gateway })), gated);
t.same(describe(segmentElements({ ...segment, gateway: { ...gateway, masquerade: true } })), [...gated, `inet weft-gateway masqueraded ${bridge}`]);

const moving = (phase: MigrationPhase, other = '192.0.2.2'): AttachmentPort => ({ ...port, migration: { id: 'm', phase, other: parseAddress(other), since: 0 } });
const waiting = [`bridge weft waiting ${hostIf} 02770a010105`, ...guarded.slice(1)];
const phases: Readonly<Record<MigrationPhase, readonly string[]>> = { relaying: guarded, departed: guarded.slice(1), left: guarded.slice(1), waiting, arrived: guarded };
for (const [phase, expected] of Object.entries(phases) as [MigrationPhase, readonly string[]][]) t.same(describe(portElements(moving(phase), { hasGateway: false })), expected, phase);
const small = { vni: parseVni(0x010203), vtepPort: 4789 };
/** The highest VNI less the tenant's. */
const [closed, opened] = ['inet weft segments 12b5 00fcfdfe', 'inet weft vteps4 c0000202 12b5 00fcfdfe'];
const relays: Readonly<Record<MigrationPhase, readonly string[]>> = { relaying: [closed], departed: [closed], left: [], waiting: [closed, opened], arrived: [closed, opened] };
for (const [phase, expected] of Object.entries(relays) as [MigrationPhase, readonly string[]][]) t.same(describe(relayElements(small, moving(phase))), expected, phase);
t.same(describe(relayElements(small, moving('arrived', '2001:db8::2'))), [closed, 'inet weft vteps6 20010db8000000000000000000000002 12b5 00fcfdfe']);
t.same(relayElements(small, port), [], 'that does not move');
t.same(relayElements(small, { ...moving('waiting'), datapath: 'ovs' }), []);
const known = { segments: [{ ...segment, ...small }], ports: [{ ...moving('waiting'), vni: small.vni }] };
t.same(describe(knownElements(known)).filter((text) => [closed, opened, ...waiting].includes(text)).length, waiting.length + 2);
t.same(describe(openedElements({ ...known, ports: [moving('waiting'), moving('arrived'), port] })), guarded.slice(0, 1));

const isOfProbe = (element: GuardElement): boolean => isProbeKey(element, Buffer.from(keyOf(element)).toString('hex'));
t.ok(probeElements({ vtepPort: 4789, peers: ['192.0.2.2', '2001:db8::2'].map((peer) => parseAddress(peer)) }).every(isOfProbe), 'what a probe tunnel needs is known for it');
t.notOk([...segmentElements({ ...segment, ...small, gateway: { ...gateway, masquerade: true } }), ...knownElements(known)].some(isOfProbe), 'and nothing of a tenant is');

const bytes = { interfaceName: 16, etherAddress: 6, ipv4Address: 4, ipv6Address: 16, port: 2, mark: 4 } as const;
const sets = new Map([[bridgeTable, bridgeSets], [inetTable, inetSets], [gatewayTable, gatewaySets]]);
t.test('every element fits its set', async (t) => {
  const elements = [
    ...portElements(port, { hasGateway: true }), ...portElements({ ...port, addresses: [] }, { hasGateway: true }), ...segmentElements({ ...segment, gateway: { ...gateway, masquerade: true } }), ...portElements(moving('waiting'), { hasGateway: false }),
  ];
  for (const element of elements) {
    const types = sets.get(element.table)?.[element.set] ?? [];
    t.same(element.key.map((part) => part.length), types.map((type) => bytes[type]), `${element.set} is ${types.join(' . ')}`);
    t.ok(element.key.length === 1 || keyOf(element).length % 4 === 0, 'whole registers');
  }
  const used = new Set(elements.map(({ table, set }) => `${table.table} ${table.family} ${set}`));
  const all = [...sets].flatMap(([table, names]) => Object.keys(names).map((set) => `${table.table} ${table.family} ${set}`));
  t.same([...used].sort(), all.sort(), 'and no set is without a use');
});
