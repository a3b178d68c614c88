/** Configurations that must be refused, each with the code of the CNI error and what its message must say. */

export interface Row {
  readonly name: string;
  /** Keys to put over a right configuration; undefined takes a key away. A string is the whole of stdin instead. */
  readonly conf?: Readonly<Record<string, unknown>> | string;
  /** Variables to put over a right environment; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The codes that are right; more than one where the specification leaves it open. */
  readonly codes: readonly number[];
  readonly says: RegExp;
}

const version = [1];
const unsupported = [2];
const undecodable = [6];
const invalid = [7];

const range = { subnet: '10.1.1.0/24' };

export const undecodableRows: readonly Row[] = [
  { name: 'empty', conf: '', codes: undecodable, says: /JSON/ },
  { name: 'cut off', conf: '{"cniVersion":"1.0.0","name":"blue"', codes: undecodable, says: /JSON/ },
  { name: 'an array', conf: '[]', codes: undecodable, says: /object/ },
  { name: 'null', conf: 'null', codes: undecodable, says: /object/ },
  { name: 'a number', conf: '42', codes: undecodable, says: /object/ },
  { name: 'two objects', conf: '{}{}', codes: undecodable, says: /JSON/ },
  { name: 'a NUL byte', conf: '{"name":"blue"}\0', codes: undecodable, says: /JSON/ },
  { name: 'YAML', conf: 'cniVersion: 1.0.0', codes: undecodable, says: /JSON/ },
];

export const versionRows: readonly Row[] = [
  { name: 'a version to come', conf: { cniVersion: '9.9.9' }, codes: version, says: /9\.9\.9.*1\.1\.0|1\.1\.0.*9\.9\.9/s },
  { name: 'a version too old', conf: { cniVersion: '0.2.0' }, codes: version, says: /0\.4\.0/ },
  { name: 'no version, which means 0.1.0', conf: { cniVersion: undefined }, codes: version, says: /0\.4\.0/ },
  { name: 'a version that is none', conf: { cniVersion: 1 }, codes: [1, 7], says: /cniVersion/ },
];

export const unknownKeyRows: readonly Row[] = [
  unknownKey('vnii', 'vni', { vnii: 1001 }),
  unknownKey('peer', 'peers', { peer: ['10.200.0.12'] }),
  unknownKey('isGatway', 'isGateway', { isGatway: true }),
  unknownKey('adress', 'address', { vtep: { adress: '10.200.0.11' } }),
  unknownKey('range', 'ranges', { ipam: { type: 'weft', range: [[range]] } }),
  unknownKey('gatway', 'gateway', { ipam: { type: 'weft', ranges: [[{ ...range, gatway: '10.1.1.1' }]] } }),
  unknownKey('rangestart', 'rangeStart', { ipam: { type: 'weft', ranges: [[{ ...range, rangestart: '10.1.1.9' }]] } }),

];

export const configurationRows: readonly Row[] = [
  { name: 'a datapath that there is not', conf: { datapath: 'ebpf' }, codes: invalid, says: /datapath.*bridge.*ovs/s },
  { name: 'no name', conf: { name: undefined }, codes: invalid, says: /name/ },
  { name: 'a name with a slash', conf: { name: '../blue' }, codes: invalid, says: /name/ },
  { name: 'a name with a space', conf: { name: 'blue sky' }, codes: invalid, says: /name/ },
  { name: 'a name that is a number', conf: { name: 42 }, codes: invalid, says: /name/ },
  ...[0, 16777216, -1, 1001.5, '1001', [1001]].map((vni) => wrong(`VNI ${JSON.stringify(vni)}`, { vni }, /vni must be a whole number from 1 to 16777215/)),
  wrong('VNI null', { vni: null }, /vni must/),
  { name: 'no VNI', conf: { vni: undefined }, codes: invalid, says: /vni/ },
  wrong('a tenant that is a number', { tenant: 42 }, /tenant must be/),
  wrong('a datapath that is none', { datapath: 'sdn' }, /datapath/, [2, 7]),
  wrong('peers that are text', { peers: '10.200.0.12' }, /peers must be/),
  wrong('a peer that is no address', { peers: ['10.200.0.999'] }, /peers\S* must be.*10\.200\.0\.999/),
  wrong('a peer with a prefix length', { peers: ['10.200.0.12/24'] }, /peers/),
  wrong('a peer of another family than the VTEP', { peers: ['fd00:200::12'] }, /peer|famil/),
  wrong('a VTEP that is text', { vtep: '10.200.0.11' }, /vtep must be/),
  wrong('a VTEP address that is none', { vtep: { address: '10.200.0' } }, /vtep\.address must be/),
  wrong('a VTEP address of another node', { vtep: { address: '10.200.0.12' } }, /10\.200\.0\.12/),
  wrong('a VTEP interface that is not there', { vtep: { interface: 'eth7' } }, /eth7/),
  ...[0, 65536, '4789'].map((port) => wrong(`VTEP port ${JSON.stringify(port)}`, { vtep: { address: '10.200.0.11', port } }, /vtep\.port must be/)),
  ...['big', 10, 70000, -1].map((mtu) => wrong(`MTU ${JSON.stringify(mtu)}`, { mtu }, /mtu must be/)),
  wrong('an MTU larger than the underlay carries', { mtu: 1451 }, /1450/),
  wrong('an MTU too small for IPv6', { mtu: 1200, ipam: { type: 'weft', ranges: [[{ subnet: 'fd00:1::/64' }]] } }, /mtu.*1280/s),
  wrong('a gateway flag that is text', { isGateway: 'yes' }, /isGateway must be/),
  wrong('masquerading without a gateway', { ipMasq: true }, /ipMasq.*isGateway/s),
];

export const ipamRows: readonly Row[] = [
  wrong('IPAM that is text', { ipam: 'weft' }, /ipam must be/),
  ipam('ranges that are no list', { ranges: range }, /ranges must be/),
  ipam('ranges that are a flat list', { ranges: [range] }, /ranges/),
  ipam('a subnet that is none', { ranges: [[{ subnet: 'ten' }]] }, /subnet must be.*ten/),
  ipam('a subnet with host bits', { ranges: [[{ subnet: '10.1.1.5/24' }]] }, /10\.1\.1\.0\/24/),
  ipam('a subnet with 33 bits', { ranges: [[{ subnet: '10.1.1.0/33' }]] }, /subnet must be/),
  ipam('a range without a subnet', { ranges: [[{ rangeStart: '10.1.1.9' }]] }, /subnet/),
  ipam('a start outside of the subnet', { ranges: [[{ ...range, rangeStart: '10.1.2.9' }]] }, /rangeStart.*10\.1\.1\.0\/24/s),
  ipam('an end outside of the subnet', { ranges: [[{ ...range, rangeEnd: '10.1.2.9' }]] }, /rangeEnd.*10\.1\.1\.0\/24/s),
  ipam('an end before the start', { ranges: [[{ ...range, rangeStart: '10.1.1.20', rangeEnd: '10.1.1.19' }]] }, /rangeStart|rangeEnd/),
  ipam('a gateway outside of the subnet', { ranges: [[{ ...range, gateway: '10.1.2.1' }]] }, /gateway.*10\.1\.1\.0\/24/s),
  ipam('ranges that overlap', { ranges: [[range], [{ subnet: '10.1.0.0/16' }]] }, /overlap/),
  ipam('two families in one list', { ranges: [[range, { subnet: 'fd00:1::/64' }]] }, /famil/),
  ipam('an exclusion that is none', { ranges: [[range]], exclude: ['ten'] }, /exclude/),
  ipam('an exclusion of nothing', { ranges: [[range]], exclude: ['192.0.2.1'] }, /exclude.*192\.0\.2\.1/s),
  ipam('a route to nowhere', { ranges: [[range]], routes: [{ dst: 'ten' }] }, /routes.*dst/s),
  wrong('a delegate with a path', { ipam: { type: '../host-local' } }, /\.\.\/host-local/, [7, 109]),
  wrong('a delegate that is not there', { ipam: { type: 'no-such-plugin' } }, /no-such-plugin.*\/usr\/lib\/cni/s, [109]),
  wrong('a requested address that is none', { runtimeConfig: { ips: ['ten'] } }, /ips/),
  wrong('a requested address outside of the ranges', { runtimeConfig: { ips: ['192.0.2.7'] } }, /192\.0\.2\.7/),
  wrong('a requested address that is the gateway', { runtimeConfig: { ips: ['10.1.1.1'] } }, /10\.1\.1\.1/, [7, 103]),
  wrong('a requested MAC that is none', { runtimeConfig: { mac: 'zz:zz' } }, /mac.*zz:zz/is),
  wrong('a requested MAC that is multicast', { runtimeConfig: { mac: '01:00:5e:00:00:01' } }, /mac.*01:00:5e:00:00:01/is),
  wrong('a requested MAC of zeros', { runtimeConfig: { mac: '00:00:00:00:00:00' } }, /mac.*00:00:00:00:00:00/is),
];

function wrong(name: string, conf: Readonly<Record<string, unknown>>, says: RegExp, codes: readonly number[] = invalid): Row {
  return { name, conf, codes, says };
}

function ipam(name: string, fields: Readonly<Record<string, unknown>>, says: RegExp): Row {
  return wrong(name, { ipam: { type: 'weft', ...fields } }, says);
}

function unknownKey(unknown: string, nearest: string, conf: Readonly<Record<string, unknown>>): Row {
  return { name: `the key ${unknown}`, conf, codes: unsupported, says: new RegExp(`${unknown}.*\\b${nearest}\\b`, 's') };
}
