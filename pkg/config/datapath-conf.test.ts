import t from 'tap';
import { portName, shaperName } from '../overlay/names.ts';
import { noEndpointArgs } from './endpoint-args.ts';
import { parseNetConf, parsePossibleNetConfs, type NetConf } from './net-conf.ts';
import { emptyNodeConf, parseNodeConf, type NodeConf } from './node-conf.ts';

type Json = Readonly<Record<string, unknown>>;

const path = '/etc/weft/weft.yaml';
const plugin = { cniVersion: '1.0.0', name: 'blue', type: 'weft', vni: 1001 };

function readWith(keys: Json, node: NodeConf = emptyNodeConf): NetConf {
  return parseNetConf({ ...plugin, ...keys }, { node, args: noEndpointArgs });
}

/** A node configuration with these lines of its own and these keys of tenant blue's. */
function nodeOf(lines: string, ofTenant = ''): NodeConf {
  return parseNodeConf(`${lines}\ntenants: [{ name: blue${ofTenant === '' ? '' : `, ${ofTenant}`} }]\n`, path);
}

/** What the four places come to. */
function wiringOf({ datapath, encapsulation, vtep }: NetConf): string {
  return `${datapath} ${encapsulation} ${vtep.port}`;
}

t.test("what the plugin's configuration says wins, then the tenant's, then the node's", (t) => {
  const rows: readonly (readonly [plugin: Json, tenant: string, node: string, wiring: string])[] = [
    [{}, '', '', 'bridge vxlan 4789'],
    [{ datapath: null, encapsulation: null }, '', '', 'bridge vxlan 4789'],
    [{ datapath: 'bridge', encapsulation: 'vxlan' }, '', '', 'bridge vxlan 4789'],
    [{ datapath: 'ovs' }, '', '', 'ovs vxlan 4789'],
    [{ datapath: 'ovs', encapsulation: 'geneve' }, '', '', 'ovs geneve 6081'],
    [{ datapath: 'ovs', encapsulation: 'geneve', vtep: { port: 6082 } }, '', '', 'ovs geneve 6082'],
    [{ datapath: 'ovs', encapsulation: 'geneve', vtep: { interface: 'eth0' } }, '', '', 'ovs geneve 6081'],
    [{ datapath: 'ovs', vtep: { port: 8472 } }, '', '', 'ovs vxlan 8472'],
    [{}, '', 'datapath: ovs', 'ovs vxlan 4789'],
    [{}, '', 'datapath: ovs\nencapsulation: geneve', 'ovs geneve 6081'],
    [{}, '', 'datapath: ovs\nencapsulation: geneve\nvtep: { port: 6083 }', 'ovs geneve 6083'],
    [{}, 'datapath: ovs, encapsulation: geneve', '', 'ovs geneve 6081'],
    [{}, 'datapath: bridge', 'datapath: ovs', 'bridge vxlan 4789'],
    [{}, 'datapath: ovs', 'datapath: bridge\nencapsulation: geneve', 'ovs geneve 6081'],
    [{}, 'encapsulation: vxlan', 'datapath: ovs\nencapsulation: geneve', 'ovs vxlan 4789'],
    [{ datapath: 'bridge' }, 'datapath: ovs', 'datapath: ovs', 'bridge vxlan 4789'],
    [{ datapath: 'ovs' }, 'datapath: bridge', 'datapath: bridge', 'ovs vxlan 4789'],
    [{ encapsulation: 'vxlan' }, 'encapsulation: geneve', 'datapath: ovs', 'ovs vxlan 4789'],
    [{ encapsulation: 'geneve' }, 'encapsulation: vxlan', 'datapath: ovs', 'ovs geneve 6081'],
  ];
  for (const [keys, tenant, node, wiring] of rows) t.equal(wiringOf(readWith(keys, nodeOf(node, tenant))), wiring, JSON.stringify([keys, tenant, node]));
  t.end();
});

const needsOvs = 'encapsulation "geneve" needs datapath "ovs": set datapath to "ovs", or encapsulation to "vxlan"';

const refused: readonly (readonly [Json, number, string])[] = [
  [{ datapath: 'ebpf' }, 7, 'datapath must be "bridge" or "ovs": current value is "ebpf"'],
  [{ datapath: 'OVS' }, 7, 'datapath must be "bridge" or "ovs": current value is "OVS"'],
  [{ datapath: ['ovs'] }, 7, 'datapath must be "bridge" or "ovs": current value is an array'],
  [{ encapsulation: 'gre' }, 7, 'encapsulation must be "vxlan" or "geneve": current value is "gre"'],
  [{ encapsulation: true }, 7, 'encapsulation must be "vxlan" or "geneve": current value is true'],
  [{ encapsulatoin: 'geneve' }, 2, 'unknown key "encapsulatoin": the nearest known key is "encapsulation"'],
  [{ datapth: 'ovs' }, 2, 'unknown key "datapth": the nearest known key is "datapath"'],
  [{ encapsulation: 'geneve' }, 7, needsOvs],
  [{ encapsulation: 'geneve', datapath: 'bridge' }, 7, needsOvs],
];
for (const [keys, cniCode, message] of refused) t.throws(() => readWith(keys), { cniCode, message }, JSON.stringify(keys));
t.throws(() => readWith({ ovs: { bridge: 'br0' } }), { cniCode: 2, message: /^unknown key "ovs": / }, 'the switch is the node’s, not a network’s');

t.test('the two are looked at together, wherever they come from', (t) => {
  t.throws(() => readWith({}, nodeOf('encapsulation: geneve')), { code: 'invalidConfiguration', message: needsOvs });
  t.throws(() => readWith({ datapath: 'bridge' }, nodeOf('', 'datapath: ovs, encapsulation: geneve')), { code: 'invalidConfiguration', message: needsOvs });
  t.throws(() => parsePossibleNetConfs(plugin, nodeOf('encapsulation: geneve')), { code: 'invalidConfiguration', message: needsOvs }, 'STATUS says it as well');
  t.throws(() => readWith({ encapsulation: 'geneve', ipMasq: true }), { message: `${needsOvs}; ipMasq needs isGateway: set isGateway to true, or ipMasq to false` });
  t.end();
});

t.test("the node's ovs", (t) => {
  const full = nodeOf('ovs: { database: /run/ovs/db.sock, bridge: br-int, datapathType: netdev }');
  t.same(full.ovs, { database: '/run/ovs/db.sock', bridge: 'br-int', datapathType: 'netdev' });
  for (const lines of ['ovs: {}', 'ovs: { bridge: null }']) t.same(nodeOf(lines).ovs, {}, 'what is left out is not decided here');
  t.same(nodeOf('ovs: { runDirectory: /run/ovs }').ovs, { runDirectory: '/run/ovs' });
  const longest = `/${'d'.repeat(106)}`;
  t.equal(nodeOf(`ovs: { database: ${longest} }`).ovs?.database, longest);
  for (const bridge of ['weft-i', 'weft-x', 'br-int', 'abcdefghijklmno']) t.equal(nodeOf(`ovs: { bridge: ${bridge} }`).ovs?.bridge, bridge);
  t.end();
});

const shaper = shaperName(portName({ network: 'blue', containerId: 'c1', ifName: 'eth0' }));
const ownName = /^\/etc\/weft\/weft\.yaml line 1: ovs\.bridge must be a name that weft gives to no other interface, so none that begins with weft-p, weft-br, weft-vx or is weft-i with nine more, or with t or f and a number: current value is "/;

const refusedOvs: readonly (readonly [string, number, string | RegExp])[] = [
  ['ovs: { runDirectory: run/ovs }', 7, /ovs\.runDirectory must be the absolute path of a directory, at most 86 bytes/],
  ['ovs: br-int', 7, `${path} line 1: ovs must be an object: current value is "br-int"`],
  ['ovs:\n  bridg: br-int', 2, `${path} line 2: unknown key "ovs.bridg": the nearest known key is "ovs.bridge"`],
  ['ovs: { bridge: abcdefghijklmnop }', 7, /ovs\.bridge must be the name of an interface, at most 15 characters/],
  ['ovs: { bridge: a/b }', 7, /ovs\.bridge must be the name of an interface/],
  ['ovs: { bridge: "" }', 7, /ovs\.bridge must be the name of an interface/],
  ['ovs: { bridge: 7 }', 7, /ovs\.bridge must be the name of an interface: current value is 7$/],
  ['ovs: { bridge: weft-p }', 7, ownName],
  ['ovs: { bridge: weft-ports }', 7, ownName],
  ['ovs: { bridge: weft-it1001 }', 7, ownName],
  ['ovs: { bridge: weft-br1 }', 7, ownName],
  ['ovs: { bridge: weft-vx }', 7, ownName],
  [`ovs: { bridge: ${shaper} }`, 7, ownName],
  ['ovs: { database: db.sock }', 7, `${path} line 1: ovs.database must be the absolute path of a unix socket, at most 107 bytes: current value is "db.sock"`],
  ['ovs: { database: "unix:/var/run/openvswitch/db.sock" }', 7, /ovs\.database must be the absolute path/],
  ['ovs: { database: "/a\\0b" }', 7, /ovs\.database must be the absolute path/],
  [`ovs: { database: /${'d'.repeat(107)} }`, 7, /ovs\.database must be the absolute path/],
  [`ovs: { database: /${'ü'.repeat(54)} }`, 7, /ovs\.database must be the absolute path/],
  ['ovs: { datapathType: kernel }', 7, `${path} line 1: ovs.datapathType must be "system" or "netdev": current value is "kernel"`],
  ['encapsulatoin: geneve', 2, `${path} line 1: unknown key "encapsulatoin": the nearest known key is "encapsulation"`],
  ['tenants: [{ name: blue, encapsulatoin: geneve }]', 2, `${path} line 1: unknown key "tenants[0].encapsulatoin": the nearest known key is "tenants[0].encapsulation"`],
  ['tenants: [{ name: blue, datapath: dpdk }]', 7, `${path} line 1: tenants[0].datapath must be "bridge" or "ovs": current value is "dpdk"`],
  ['tenants: [{ name: blue, ovs: { bridge: br0 } }]', 2, /unknown key "tenants\[0\]\.ovs"/],
];
for (const [text, cniCode, message] of refusedOvs) t.throws(() => parseNodeConf(text, path), { cniCode, message }, JSON.stringify(text));
