import t from 'tap';
import { formatSpan } from '../ipam/ranges.ts';
import { formatAddress, formatPrefix, isUnicastAddress } from '../netaddr/netaddr.ts';
import { parseEndpointArgs } from './endpoint-args.ts';
import { emptyNodeConf, parseNodeConf, type NodeConf } from './node-conf.ts';
import { parseNetConf, parsePossibleNetConfs, type NetConf } from './net-conf.ts';

type Json = Readonly<Record<string, unknown>>;

interface Around {
  readonly node?: NodeConf;
  readonly args?: Readonly<Record<string, string>>;
}

const minimal = { cniVersion: '1.0.0', name: 'blue', type: 'weft', vni: 1001 };
const ranges = [[{ subnet: '10.1.1.0/24' }]];
const dualRanges = [[{ subnet: '10.1.1.0/24' }], [{ subnet: '2001:db8::/64' }]];

function read(json: Json, { node = emptyNodeConf, args = {} }: Around = {}): NetConf {
  return parseNetConf(json, { node, args: parseEndpointArgs(new Map(Object.entries(args))) });
}

/** The minimal configuration with the given keys. */
function readWith(keys: Json, around?: Around): NetConf {
  return read({ ...minimal, ...keys }, around);
}

function nodeOf(yaml: string): NodeConf {
  return parseNodeConf(yaml, '/etc/weft/weft.yaml');
}

const injectedKeys = {
  cniVersions: ['1.0.0', '1.1.0'],
  capabilities: { ips: true, bandwidth: true },
  prevResult: { cniVersion: '1.0.0' },
  disableCheck: true,
  disableGC: false,
  loadOnlyInlinedPlugins: true,
  'cni.dev/valid-attachments': null,
  'cni.dev/anything': {},
  runtimeConfig: { PortMappings: [{ HostPort: 1 }], bandwidth: {}, ips: [], mac: '' },
  args: { labels: [], cni: { ips: [], FOO: 1 } },
};

t.test('defaults', (t) => {
  const expected = {
    cniVersion: '1.0.0',
    network: 'blue',
    tenant: 'blue',
    vni: 1001,
    datapath: 'bridge',
    encapsulation: 'vxlan',
    controlPlane: 'static',
    vtep: { port: 4789 },
    peers: [],
    mtuPolicy: 'refuse',
    isGateway: false,
    ipMasq: false,
    ipam: { type: 'none' },
    requestedAddresses: [],
  };
  t.same(readWith({}), expected);
  t.same(readWith({ ipam: {} }), expected, 'an empty ipam is layer 2 only');
  t.same(readWith({ ipam: null, peers: null, vtep: null, mtu: null, tenant: null, dns: null, runtimeConfig: null, args: null }), expected, 'null is absent');
  t.same(read(Object.fromEntries(Object.entries(minimal).reverse())), expected, 'the order of keys does not matter');
  t.same(readWith(injectedKeys), expected, "a runtime's own keys are let through");
  t.end();
});

t.test('every key', (t) => {
  const conf = readWith({
    tenant: 'azure',
    datapath: 'bridge',
    vtep: { interface: 'eth0', address: '192.0.2.1', port: 4790 },
    peers: ['192.0.2.2', '192.0.2.1', '192.0.2.3', '192.0.2.2'],
    mtu: 1400,
    isGateway: true,
    ipMasq: true,
    ipam: { type: 'weft', ranges: dualRanges, exclude: ['10.1.1.50', '10.1.1.64/28'], routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0', gw: '2001:db8::7', mtu: 1300, priority: 5 }] },
    dns: { nameservers: ['10.1.1.2', '2001:DB8::2'], domain: 'blue.test', search: ['blue.test'], options: ['ndots:5'] },
  });
  t.equal(conf.tenant, 'azure');
  t.match(conf, { network: 'blue', vtep: { interface: 'eth0', port: 4790 }, mtu: 1400, isGateway: true, ipMasq: true });
  t.same(conf.peers.map(formatAddress), ['192.0.2.2', '192.0.2.3'], "without this node's own, each once");
  t.same(conf.dns, { nameservers: ['10.1.1.2', '2001:db8::2'], domain: 'blue.test', search: ['blue.test'], options: ['ndots:5'] });
  if (conf.ipam.type !== 'weft') return t.fail('the pool is missing');
  t.same(conf.ipam.pool.exclude.map(formatSpan), ['10.1.1.50', '10.1.1.64-10.1.1.79']);
  const routes = conf.ipam.pool.routes.map(({ dst, gateway, ...others }) => [formatPrefix(dst), gateway && formatAddress(gateway), others]);
  t.same(routes, [['0.0.0.0/0', undefined, {}], ['::/0', '2001:db8::7', { mtu: 1300, priority: 5 }]]);
  return t.end();
});

t.test('ipam', (t) => {
  const flat = readWith({ ipam: { type: 'weft', subnet: '10.1.1.0/24', rangeStart: '10.1.1.5', rangeEnd: '10.1.1.9', gateway: '10.1.1.2', ranges: [dualRanges[1]] } });
  const sets = flat.ipam.type === 'weft' ? flat.ipam.pool.sets.map((set) => set.map(formatSpan)) : [];
  t.same(sets, [['10.1.1.5-10.1.1.9'], ['2001:db8::1-2001:db8::ffff:ffff:ffff:ffff']], "host-local's older form comes first");
  const conf = { type: 'dhcp', daemonSocketPath: '/run/dhcp.sock' };
  t.same(readWith({ ipam: conf, isGateway: true }).ipam, { type: 'delegate', plugin: 'dhcp', conf }, 'another plugin reads its own keys');
  t.end();
});

t.test('bandwidth: bits and bits per second, a rate of 0 is no limit', (t) => {
  const rows: readonly (readonly [Json, Json | undefined])[] = [
    [{ ingressRate: 8000, ingressBurst: 800 }, { ingress: { rateBits: 8000, burstBits: 800 } }],
    [{ IngressRate: 1, EgressRate: 2 }, { ingress: { rateBits: 1 }, egress: { rateBits: 2 } }],
    [{ ingressRate: 0, ingressBurst: 5, egressRate: 7, egressBurst: 0 }, { egress: { rateBits: 7 } }],
    [{ ingressRate: 9, ingressBurst: 2147483647 }, { ingress: { rateBits: 9 } }],
    [{}, undefined],
    [{ ingressRate: 0 }, undefined],
  ];
  for (const [bandwidth, expected] of rows) t.same(readWith({ runtimeConfig: { bandwidth } }).bandwidth, expected, JSON.stringify(bandwidth));
  t.equal(readWith({ args: { cni: { bandwidth: { ingressRate: 1 } } } }).bandwidth, undefined, 'only the runtime limits');
  t.end();
});

t.test('requested addresses and MAC: the first place that asks counts', (t) => {
  const ipam = { type: 'weft', ranges: dualRanges };
  const rows: readonly (readonly [Json, Readonly<Record<string, string>>, readonly string[], string | undefined])[] = [
    [{}, {}, [], undefined],
    [{ runtimeConfig: { ips: ['10.1.1.7/24', '2001:db8::7'], mac: '02:00:00:00:00:0A' } }, { IP: '10.1.1.9', MAC: '02:00:00:00:00:0c' }, ['10.1.1.7', '2001:db8::7'], '02:00:00:00:00:0a'],
    [{ runtimeConfig: { IPs: ['10.1.1.7'], MAC: '02:00:00:00:00:0a' } }, {}, ['10.1.1.7'], '02:00:00:00:00:0a'],
    [{ runtimeConfig: { ips: [] }, args: { cni: { ips: ['10.1.1.8'], mac: '02:00:00:00:00:0b' } } }, { IP: '10.1.1.9' }, ['10.1.1.8'], '02:00:00:00:00:0b'],
    [{ runtimeConfig: { mac: '' }, args: { cni: {} } }, { IP: '10.1.1.9,2001:db8::9', MAC: '02:00:00:00:00:0c' }, ['10.1.1.9', '2001:db8::9'], '02:00:00:00:00:0c'],
    [{ runtimeConfig: { mac: '02:00:00:00:00:0a' } }, { IP: '10.1.1.9' }, ['10.1.1.9'], '02:00:00:00:00:0a'],
  ];
  for (const [keys, args, addresses, mac] of rows) {
    const conf = readWith({ ipam, ...keys }, { args });
    t.same(conf.requestedAddresses.map(formatAddress), addresses, JSON.stringify(keys));
    t.equal(conf.requestedMac, mac);
  }
  const inConf = { args: { cni: { endpoint: 'vm-2' } } };
  t.equal(readWith(inConf).endpoint, 'vm-2', "as Multus's cni-args name it");
  t.equal(readWith(inConf, { args: { WEFT_ENDPOINT: 'vm-1' } }).endpoint, 'vm-1', 'the call comes first');
  t.equal(readWith({ runtimeConfig: { endpoint: 'vm-2' } }).endpoint, undefined);
  const named = readWith({}, { args: { WEFT_ENDPOINT: 'vm-1', K8S_POD_NAMESPACE: 'blue', K8S_POD_NAME: 'web-0' } });
  t.match(named, { endpoint: 'vm-1', pod: { namespace: 'blue', name: 'web-0' } });
  t.end();
});

const refused: readonly (readonly [Json, number, string | RegExp])[] = [
  [{ cniVersion: '0.3.1' }, 1, /^cniVersion must be one of/],
  [{ cniVersion: undefined }, 1, /^cniVersion must be one of/],
  [{ name: undefined }, 7, 'name must be given'],
  [{ name: '../x' }, 7, 'name must begin with a letter or digit and have only letters, digits, "_", "." and "-": current value is "../x"'],
  [{ name: 7 }, 7, 'name must be a string: current value is 7'],
  [{ tenant: '' }, 7, /^tenant must begin with a letter/],
  [{ vni: undefined }, 7, 'vni must be given: write it into the network configuration, or into the entry of tenant blue under tenants of the node configuration'],
  [{ vni: 0 }, 7, 'vni must be a whole number from 1 to 16777215: current value is 0'],
  [{ vni: 16777216 }, 7, 'vni must be a whole number from 1 to 16777215: current value is 16777216'],
  [{ vni: '1001' }, 7, 'vni must be a whole number from 1 to 16777215: current value is "1001"'],
  [{ vni: 1.5 }, 7, /^vni must be a whole number/],
  [{ vni: [1001] }, 7, /^vni must be a whole number/],
  [{ vin: 1001 }, 2, 'unknown key "vin": the nearest known key is "vni"'],
  [{ VNI: 1001 }, 2, 'unknown key "VNI": the nearest known key is "vni"'],
  [{ isDefaultGateway: true }, 2, /^unknown key "isDefaultGateway": the nearest known key is "isGateway"$/],
  [{ controlPlane: { type: 'static' } }, 2, /^unknown key "controlPlane": /],
  [{ cniDev: 1, 'cni.deb/x': 1 }, 2, /unknown key "cniDev".*unknown key "cni\.deb\/x"/],
  [JSON.parse('{"__proto__": {"vni": 7}}'), 2, /^unknown key "__proto__"/],
  [{ constructor: 1, toString: 1 }, 2, /unknown key "constructor".*unknown key "toString"/],
  [{ vtep: { adress: '192.0.2.1' } }, 2, 'unknown key "vtep.adress": the nearest known key is "vtep.address"'],
  [{ ipam: { type: 'weft', ranges, exlude: [] } }, 2, 'unknown key "ipam.exlude": the nearest known key is "ipam.exclude"'],
  [{ ipam: { type: 'weft', ranges: [[{ subnet: '10.1.1.0/24', rangestart: '10.1.1.5' }]] } }, 2, 'unknown key "ipam.ranges[0][0].rangestart": the nearest known key is "ipam.ranges[0][0].rangeStart"'],
  [{ ipam: { type: 'weft', ranges, dataDir: '/x' } }, 2, 'ipam.dataDir is not supported: weft keeps what it has given in its own state directory'],
  [{ ipam: { type: 'weft', ranges, resolvConf: '/etc/resolv.conf' } }, 2, 'ipam.resolvConf is not supported: write the name servers into dns'],
  [{ dns: { nameserver: [] } }, 2, 'unknown key "dns.nameserver": the nearest known key is "dns.nameservers"'],
  [{ datapath: 'Bridge' }, 7, 'datapath must be "bridge" or "ovs": current value is "Bridge"'],
  [{ mtu: 'big' }, 7, 'mtu must be a whole number from 68 to 65535: current value is "big"'],
  [{ mtu: 65536 }, 7, /^mtu must be/],
  [{ mtuPolicy: 'ignore' }, 7, 'mtuPolicy must be "refuse" or "warn": current value is "ignore"'],
  [{ mtuPolicy: true }, 7, /^mtuPolicy must be/],
  [{ isGateway: 'true' }, 7, 'isGateway must be true or false: current value is "true"'],
  [{ ipMasq: 1 }, 7, 'ipMasq must be true or false: current value is 1'],
  [{ vtep: [] }, 7, 'vtep must be an object: current value is an array'],
  [{ vtep: { address: '192.0.2.1/24' } }, 7, 'vtep.address must be an IPv4 address like 192.0.2.1 or an IPv6 address like 2001:db8::1: current value is "192.0.2.1/24"'],
  [{ vtep: { address: '::1' } }, 7, /^vtep\.address must be an address at which other nodes reach this one/],
  [{ vtep: { port: '4789' } }, 7, 'vtep.port must be a whole number from 1 to 65535: current value is "4789"'],
  [{ peers: '192.0.2.2' }, 7, "peers must be an array of addresses of other nodes' VTEPs: current value is \"192.0.2.2\""],
  [{ peers: [192] }, 7, 'peers[0] must be an IPv4 or IPv6 address: current value is 192'],
  [{ peers: ['192.0.2.2', null] }, 7, 'peers[1] must be an IPv4 or IPv6 address: current value is null'],
  [{ peers: ['0.0.0.0'] }, 7, /^peers\[0\] must be an address at which/],
  [{ peers: ['192.0.2.2', '2001:db8::2'] }, 7, 'peers must be of the family of the first peer, 192.0.2.2: current value is 2001:db8::2'],
  [{ vtep: { address: '2001:db8::1' }, peers: ['192.0.2.2'] }, 7, 'peers must be of the family of vtep.address, 2001:db8::1: current value is 192.0.2.2'],
  [{ ipMasq: true, ipam: { type: 'weft', ranges } }, 7, 'ipMasq needs isGateway: set isGateway to true, or ipMasq to false'],
  [{ isGateway: true }, 7, 'isGateway needs a gateway address: give a range of ipam a gateway'],
  [{ isGateway: true, ipam: { type: 'weft', ranges: [[{ subnet: '10.1.1.0/31' }]] } }, 7, /^isGateway needs a gateway address/],
  [{ mtu: 1279, ipam: { type: 'weft', ranges: dualRanges } }, 7, 'mtu must be at least 1280 for the IPv6 ranges of ipam: current value is 1279'],
  [{ ipam: 'weft' }, 7, 'ipam must be an object: current value is "weft"'],
  [{ ipam: { ranges } }, 7, 'ipam.type must be "weft" or the name of an IPAM plugin: current value is missing'],
  [{ ipam: { type: '../host-local' } }, 7, 'ipam.type must be "weft" or the name of an IPAM plugin: current value is "../host-local"'],
  [{ ipam: { type: 'weft' } }, 7, 'ipam.ranges must have at least one set of ranges: current value is empty'],
  [{ ipam: { type: 'weft', ranges: ranges[0] } }, 7, 'ipam.ranges[0] must be an array of ranges: current value is an object'],
  [{ ipam: { type: 'weft', ranges: [[{}]] } }, 7, 'ipam.ranges[0][0].subnet must be given'],
  [{ ipam: { type: 'weft', ranges: [[{ subnet: '10.1.1.0' }]] } }, 7, 'ipam.ranges[0][0].subnet must be a subnet like 10.1.1.0/24 or 2001:db8::/64: current value is "10.1.1.0"'],
  [{ ipam: { type: 'weft', ranges: [[{ subnet: '10.1.1.0/24', rangeStart: '10.1.2.5' }]] } }, 7, /^ipam\.ranges\[0\]\[0\]\.rangeStart must be an address that hosts of 10\.1\.1\.0\/24 can have/],
  [{ ipam: { type: 'weft', rangeStart: '10.1.1.5', ranges } }, 7, 'ipam.rangeStart must stand beside a subnet, in ipam or in a range of ipam.ranges'],
  [{ ipam: { type: 'weft', ranges, exclude: ['10.1.1.70/28'] } }, 7, 'ipam.exclude[0] must be a subnet without host bits, such as 10.1.1.64/28: current value is "10.1.1.70/28"'],
  [{ ipam: { type: 'weft', ranges, exclude: ['10.9.9.9'] } }, 7, /^ipam\.exclude\[0\] must be inside a subnet of ipam\.ranges/],
  [{ ipam: { type: 'weft', ranges, routes: [{ gw: '10.1.1.1' }] } }, 7, 'ipam.routes[0].dst must be given'],
  [{ ipam: { type: 'weft', ranges, routes: [{ dst: '::/0', gw: '10.1.1.1' }] } }, 7, 'ipam.routes[0].gw must be of the family of dst'],
  [{ ipam: { type: 'weft', ranges, routes: [{ dst: '0.0.0.0/0', scope: 256 }] } }, 7, 'ipam.routes[0].scope must be a whole number from 0 to 255: current value is 256'],
  [{ dns: { nameservers: ['dns.test'] } }, 7, /^dns\.nameservers\[0\] must be an IPv4 address/],
  [{ runtimeConfig: [] }, 7, 'runtimeConfig must be an object: current value is an array'],
  [{ runtimeConfig: { ips: '10.1.1.7' } }, 7, 'runtimeConfig.ips must be an array of addresses: current value is "10.1.1.7"'],
  [{ runtimeConfig: { ips: ['10.1.1.7/33'] } }, 7, /^runtimeConfig\.ips\[0\] must be an address with the length of its subnet/],
  [{ runtimeConfig: { ips: ['255.255.255.255'] } }, 7, 'runtimeConfig.ips[0] must be the address of one host: current value is "255.255.255.255"'],
  [{ runtimeConfig: { mac: 'ff:ff:ff:ff:ff:ff' } }, 7, /^runtimeConfig\.mac must be the MAC address of one interface, not multicast and not zero/],
  [{ runtimeConfig: { bandwidth: 5 } }, 7, 'runtimeConfig.bandwidth must be an object: current value is 5'],
  [{ runtimeConfig: { bandwidth: { ingressRate: -1 } } }, 7, /^runtimeConfig\.bandwidth\.ingressrate must be a whole number from 0/],
  [{ runtimeConfig: { bandwidth: { egressBurst: '1M' } } }, 7, /^runtimeConfig\.bandwidth\.egressburst must be a whole number from 0/],
  [{ runtimeConfig: { mac: 7 } }, 7, 'runtimeConfig.mac must be a MAC address: current value is 7'],
  [{ args: { cni: { endpoint: 'a b' } } }, 7, /^args\.cni\.endpoint must be 1 to 253 letters/],
  [{ args: { cni: { ips: ['x'] } } }, 7, /^args\.cni\.ips\[0\] must be an IPv4 address/],
  [{ ipam: { type: 'weft', ranges }, runtimeConfig: { ips: ['10.1.1.7', '10.1.1.7/24'] } }, 7, 'the requested addresses must differ: 10.1.1.7 is there twice'],
  [{ runtimeConfig: { ips: ['10.1.1.7'] } }, 7, 'an address can be requested only where ipam is configured: configure ipam, or request none'],
];
for (const [keys, cniCode, message] of refused) t.throws(() => readWith(keys), { cniCode, message }, JSON.stringify(keys));

t.throws(
  () => readWith({ vni: 0, mtu: 'big', peer: [], ipam: { type: 'weft', ranges: [[{ subnet: 'x', gateway: 1 }]] } }),
  {
    code: 'unsupportedField',
    message: [
      'unknown key "peer": the nearest known key is "peers"',
      'mtu must be a whole number from 68 to 65535: current value is "big"',
      'vni must be a whole number from 1 to 16777215: current value is 0',
      'ipam.ranges[0][0].subnet must be a subnet like 10.1.1.0/24 or 2001:db8::/64: current value is "x"',
      'ipam.ranges[0][0].gateway must be an IPv4 or IPv6 address: current value is 1',
    ].join('; '),
  },
  'every fault is in the one message',
);
t.throws(() => readWith({ ipMasq: true, mtu: 1000, peers: ['192.0.2.2', '2001:db8::2'], ipam: { type: 'weft', ranges: dualRanges } }), { message: /^ipMasq needs .*; mtu must .*; peers must / });

const node = nodeOf(`
vtep: { interface: eth0, port: 4790 }
peers: [192.0.2.9]
mtu: 1450
tenants:
  - { name: blue, vni: 1001, mtu: 1400, namespaces: [blue, "blue-*"], ipam: { type: weft, ranges: [[{ subnet: 10.1.1.0/24 }]] }, isGateway: true }
  - { name: green, vni: 1002, namespaces: [green, "*-both"], peers: [192.0.2.8] }
  - { name: olive, namespaces: ["olive*", "*-both"] }
  - { name: open, vni: 1004 }
`);
const short = { cniVersion: '1.0.0', name: 'pods', type: 'weft' };

t.test('what the node configuration adds', (t) => {
  const blue = read({ ...short, tenant: 'blue' }, { node });
  t.match(blue, { network: 'pods', tenant: 'blue', vni: 1001, mtu: 1400, isGateway: true, vtep: { interface: 'eth0', port: 4790 } });
  t.same(blue.peers.map(formatAddress), ['192.0.2.9']);
  t.equal(blue.ipam.type, 'weft');
  const other = read({ ...short, tenant: 'blue', vni: 7, mtu: 1300, peers: [], isGateway: false, ipam: {}, vtep: { address: '192.0.2.1' } }, { node });
  t.match(other, { vni: 7, mtu: 1300, isGateway: false, ipam: { type: 'none' } }, "the plugin's configuration wins");
  t.same(Object.keys(other.vtep).toSorted(), ['address', 'port'], "the plugin's address goes without the node's interface");
  t.equal(other.vtep.port, 4790);
  t.ok(other.vtep.address && isUnicastAddress(other.vtep.address));
  t.same(other.peers, []);
  t.same(read({ ...short, tenant: 'green' }, { node }).peers.map(formatAddress), ['192.0.2.8'], "the tenant's list before the node's");
  t.end();
});

t.test('which tenant', (t) => {
  const rows: readonly (readonly [Json, string | undefined, string])[] = [
    [{}, 'blue', 'blue'],
    [{}, 'blue-7', 'blue'],
    [{}, 'green', 'green'],
    [{ name: 'open' }, 'elsewhere', 'open'],
    [{ name: 'open' }, 'green', 'green'],
    [{ name: 'open' }, undefined, 'open'],
    [{ tenant: 'open' }, 'blue', 'open'],
    [{ tenant: 'blue' }, 'blue-7', 'blue'],
    [{ tenant: 'blue' }, undefined, 'blue'],
    [{ name: 'fresh', vni: 5 }, 'elsewhere', 'fresh'],
    [{ tenant: 'fresh', vni: 5 }, 'blue', 'fresh'],
  ];
  for (const [keys, namespace, expected] of rows) {
    const args = namespace === undefined ? {} : { K8S_POD_NAMESPACE: namespace };
    t.equal(read({ ...short, ...keys }, { node, args }).tenant, expected, `${JSON.stringify(keys)} for ${namespace ?? 'no pod'}`);
  }
  t.end();
});

const misfits: readonly (readonly [Json, string, string])[] = [
  [{ tenant: 'blue' }, 'green', 'tenant blue must list the pod\'s namespace in its namespaces (blue, blue-*) in /etc/weft/weft.yaml: current value is "green"'],
  [{ name: 'blue' }, 'elsewhere', 'tenant blue must list the pod\'s namespace in its namespaces (blue, blue-*) in /etc/weft/weft.yaml: current value is "elsewhere"'],
  [{}, 'for-both', 'the namespace "for-both" must belong to one tenant: the namespaces of green, olive in /etc/weft/weft.yaml match it'],
  [{}, 'elsewhere', "the pod's namespace must belong to a tenant: elsewhere matches no namespaces under tenants of /etc/weft/weft.yaml"],
  [{}, 'olive', 'vni must be given: write it into the network configuration, or into the entry of tenant olive under tenants of /etc/weft/weft.yaml'],
  [{ vni: 1002 }, 'elsewhere', "vni must be one that no other tenant has: 1002 is tenant green's in /etc/weft/weft.yaml"],
  [{ tenant: 'open', vni: 1001 }, 'blue', "vni must be one that no other tenant has: 1001 is tenant blue's in /etc/weft/weft.yaml"],
  [{ vni: 5 }, 'olive', "vni must be left out where the pod's namespace chooses the tenant, for every tenant would get it: write it into the entry of tenant olive under tenants of /etc/weft/weft.yaml"],
  [{ vni: 5 }, 'green', "vni must be left out where the pod's namespace chooses the tenant, for every tenant would get it: write it into the entry of tenant green under tenants of /etc/weft/weft.yaml"],
];
for (const [keys, namespace, message] of misfits) {
  t.throws(() => read({ ...short, ...keys }, { node, args: { K8S_POD_NAMESPACE: namespace } }), { cniCode: 7, message }, `${JSON.stringify(keys)} for ${namespace}`);
}
t.equal(read({ ...short, vni: 1002 }, { node, args: { K8S_POD_NAMESPACE: 'green' } }).tenant, 'green', 'the VNI the tenant has anyhow');

t.test('every network that STATUS must speak for', (t) => {
  const complete = nodeOf('tenants: [{ name: blue, vni: 1, namespaces: [blue] }, { name: green, vni: 2, namespaces: [green] }, { name: open, vni: 3 }]');
  const tenantsOf = (json: Json, of: NodeConf): readonly string[] => parsePossibleNetConfs(json, of).map(({ tenant }) => tenant);
  t.same(tenantsOf(short, complete), ['blue', 'green'], "the tenants that pods' namespaces can choose");
  t.same(tenantsOf({ ...short, name: 'open' }, complete), ['blue', 'green', 'open'], "and the one of the network's name, for the others");
  t.same(tenantsOf({ ...short, tenant: 'green' }, complete), ['green']);
  t.same(tenantsOf(minimal, emptyNodeConf), ['blue']);
  t.throws(() => parsePossibleNetConfs(short, emptyNodeConf), { cniCode: 7, message: /^vni must be given/ });
  t.throws(() => parsePossibleNetConfs(short, node), { cniCode: 7, message: /tenant olive/ }, 'one that is wrong is enough');
  t.end();
});
