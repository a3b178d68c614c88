import t from 'tap';
import { formatAddress, parseAddress, parseVni, vniMax } from '../netaddr/netaddr.ts';
import { isPortName, isProbeName, probeName } from './names.ts';
import { describeUnprobed, probeTunnels, type ProbeParty } from './probe.ts';

function party(tenant: string, vni: number, rest: Partial<ProbeParty> = {}): ProbeParty {
  return { tenant, vni: parseVni(vni), vtepAddress: parseAddress('192.0.2.1'), vtepPort: 4789, underlayMtu: 1500, peers: ['192.0.2.3', '192.0.2.2'].map((text) => parseAddress(text)), ...rest };
}

function shown(...parties: readonly ProbeParty[]): readonly string[] {
  return probeTunnels(parties).map(({ vtepAddress, vtepPort, underlayMtu, peers }) => `${formatAddress(vtepAddress)}:${vtepPort} ${underlayMtu} > ${peers.map(formatAddress).join(' ')}`);
}

const own = parseAddress('192.0.2.101');
const over6 = { vtepAddress: parseAddress('2001:db8::1'), peers: [parseAddress('2001:db8::2')] };
const rows: readonly (readonly [what: string, parties: readonly ProbeParty[], tunnels: readonly string[], said?: RegExp])[] = [
  ['nobody', [], []],
  ['nobody to ask', [party('blue', 1, { peers: [] })], []],
  ['one tenant', [party('blue', 1)], ['192.0.2.1:4789 1500 > 192.0.2.2 192.0.2.3']],
  ['two with peers of their own', [party('blue', 1), party('red', 2, { underlayMtu: 1600, peers: [parseAddress('192.0.2.4'), parseAddress('192.0.2.2')] })], ['192.0.2.1:4789 1600 > 192.0.2.2 192.0.2.3 192.0.2.4']],
  ['two ports', [party('red', 2, { vtepPort: 4790 }), party('blue', 1)], ['192.0.2.1:4789 1500 > 192.0.2.2 192.0.2.3', '192.0.2.1:4790 1500 > 192.0.2.2 192.0.2.3']],
  ['two families', [party('red', 2, over6), party('blue', 1)], ['192.0.2.1:4789 1500 > 192.0.2.2 192.0.2.3', '2001:db8::1:4789 1500 > 2001:db8::2']],
  ['two addresses on a port', [party('red', 2, { vtepAddress: own }), party('blue', 1)], ['192.0.2.1:4789 1500 > 192.0.2.2 192.0.2.3'], /tunnels of VTEP 192\.0\.2\.101: VTEP 192\.0\.2\.1 of this node has UDP port 4789 too/],
  ['Open vSwitch and Geneve', [party('red', 2, { datapath: 'ovs' }), party('green', 3, { datapath: 'ovs', encapsulation: 'geneve' })], []],
  ['a tenant with the VNI', [party('blue', 1), party('red', vniMax)], [], /tenant red has VNI 16777215, which probes need: give it another one/],
  ['a tenant of Open vSwitch with the VNI', [party('blue', 1), party('red', vniMax, { datapath: 'ovs' })], [], /tenant red has VNI 16777215/],
];
for (const [what, parties, tunnels, said] of rows) {
  t.same(shown(...parties), tunnels, what);
  t.same(shown(...[...parties].reverse()), tunnels, `${what}, in whatever order`);
  const words = describeUnprobed(parties);
  if (said === undefined) t.same(words, [], what);
  else t.match(words, [said], what);
}

const names = [probeName(own, 4789), probeName(own, 4790), probeName(over6.vtepAddress, 4789)];
t.equal(new Set(names).size, 3);
t.ok(names.every((name) => name.length <= 15 && isProbeName(name) && !isPortName(name)));
t.equal(names[0], probeName(own, 4789), 'the same every time');
for (const name of ['weft-st', 'weft-staaaaaaa', 'weft-staaaaaaaaa', 'weft-staaaaaaa1', 'weft-spaaaaaaaa']) t.notOk(isProbeName(name), name);
