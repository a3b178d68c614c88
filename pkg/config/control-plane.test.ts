import t from 'tap';
import { formatAddress } from '../netaddr/netaddr.ts';
import type { EvpnConf } from './control-plane.ts';
import { noEndpointArgs } from './endpoint-args.ts';
import { parseNetConf, type NetConf } from './net-conf.ts';
import { controlPlaneOf, emptyNodeConf, type NodeConf } from './node-model.ts';
import { parseNodeConf } from './node-conf.ts';

const path = '/etc/weft/weft.yaml';

function nodeOf(keys: string, lines = ''): NodeConf {
  return parseNodeConf(`controlPlane: {${keys}}\n${lines}`, path);
}

function evpnOf(keys: string): EvpnConf {
  const { controlPlane } = nodeOf(`type: evpn, as: 65000, ${keys}`);
  if (controlPlane?.type !== 'evpn') throw new TypeError('no EVPN');
  return controlPlane;
}

const neighbor = 'neighbors: [{ address: 192.0.2.2 }]';
const minimal = `type: evpn, as: 65000, ${neighbor}`;

t.test('what is left out has its default', (t) => {
  const { neighbors, ...rest } = evpnOf(neighbor);
  t.same(rest, { type: 'evpn', as: 65000, timers: { keepaliveSeconds: 3, holdSeconds: 9, connectSeconds: 1 }, managed: true, runDirectory: '/var/run/frr', retainSeconds: 120 });
  t.same(neighbors.map(({ address, ...of }) => [formatAddress(address), of]), [['192.0.2.2', { as: 65000, routeReflectorClient: false }]]);
  t.equal(controlPlaneOf(nodeOf(minimal)), 'evpn');
  t.equal(controlPlaneOf(nodeOf('type: static')), 'static');
  t.equal(controlPlaneOf(emptyNodeConf), 'static');
  t.end();
});

t.test('what is written counts', (t) => {
  const conf = evpnOf(`
  routerId: 192.0.2.1, password: common, managed: false, runDirectory: /run/frr, retainSeconds: 0,
  timers: { keepaliveSeconds: 10, holdSeconds: 30, connectSeconds: 5 },
  neighbors: [
    { address: 192.0.2.2, routeReflectorClient: true },
    { address: 2001:db8::2, as: 4294967295, password: "own?|#!" },
  ]`);
  t.match(conf, { managed: false, runDirectory: '/run/frr', retainSeconds: 0, timers: { keepaliveSeconds: 10, holdSeconds: 30, connectSeconds: 5 } });
  t.equal(conf.routerId && formatAddress(conf.routerId), '192.0.2.1');
  t.match(conf.neighbors, [
    { as: 65000, password: 'common', routeReflectorClient: true },
    { as: 4294967295, password: 'own?|#!', routeReflectorClient: false },
  ]);
  t.notOk('password' in conf, 'the common password is its neighbours\' now');
  t.end();
});

t.test('the keepalives follow the hold time', (t) => {
  const rows = [
    ['holdSeconds: 3', 1, 3],
    ['holdSeconds: 6', 2, 6],
    ['holdSeconds: 90', 3, 90],
    ['holdSeconds: 0', 0, 0],
    ['holdSeconds: 0, keepaliveSeconds: 60', 60, 0],
    ['keepaliveSeconds: 1', 1, 9],
  ] as const;
  for (const [timers, keepaliveSeconds, holdSeconds] of rows) t.match(evpnOf(`${neighbor}, timers: { ${timers} }`).timers, { keepaliveSeconds, holdSeconds }, timers);
  t.end();
});

const refused: readonly (readonly [string, number, string | RegExp])[] = [
  ['type: evpn', 7, `${path} line 1: controlPlane.as must be given with type "evpn"; ${path} line 1: controlPlane.neighbors must be given with type "evpn"`],
  ['type: evpn, as: 65000', 7, /^\S+ line 1: controlPlane\.neighbors must be given with type "evpn"$/],
  ['as: 65000', 7, /^\S+ line 1: controlPlane\.type must be given$/],
  ['type: bgp', 7, /controlPlane\.type must be "static" or "evpn": current value is "bgp"$/],
  ['type: static,\n as: 65000', 7, `${path} line 2: controlPlane.as is for type "evpn" only: take it out, or set controlPlane.type to "evpn"`],
  ['type: static, neighbors: []', 7, /controlPlane\.neighbors is for type "evpn" only/],
  ['type: static, ass: 65000', 2, /unknown key "controlPlane\.ass": the nearest known key is "controlPlane\.as"/],
  [`${minimal},\n neighbours: []`, 2, `${path} line 2: unknown key "controlPlane.neighbours": the nearest known key is "controlPlane.neighbors"`],
  [`type: evpn, as: 0, ${neighbor}`, 7, /^\S+ line 1: controlPlane\.as must be a whole number from 1 to 4294967295: current value is 0$/],
  [`type: evpn, as: 4294967296, ${neighbor}`, 7, /controlPlane\.as must be a whole number from 1 to 4294967295/],
  [`type: evpn, as: "65000", ${neighbor}`, 7, /controlPlane\.as must be a whole number/],
  ['type: evpn, as: 1, neighbors: []', 7, /controlPlane\.neighbors must name at least one: a node without neighbours hears of nobody$/],
  ['type: evpn, as: 1, neighbors: 192.0.2.2', 7, /controlPlane\.neighbors must be an array of BGP neighbours: current value is "192\.0\.2\.2"$/],
  ['type: evpn, as: 1, neighbors: [192.0.2.2]', 7, /controlPlane\.neighbors\[0\] must be an object: current value is "192\.0\.2\.2"$/],
  ['type: evpn, as: 1, neighbors: [{ as: 1 }]', 7, /controlPlane\.neighbors\[0\]\.address must be given$/],
  ['type: evpn, as: 1, neighbors: [{ address: 192.0.2.2, adress: x }]', 2, /unknown key "controlPlane\.neighbors\[0\]\.adress": the nearest known key is "controlPlane\.neighbors\[0\]\.address"/],
  ['type: evpn, as: 1, neighbors: [{ address: 224.0.0.5 }]', 7, /controlPlane\.neighbors\[0\]\.address must be an address at which other nodes reach this one/],
  ['type: evpn, as: 1, neighbors: [{ address: 192.0.2.2 },\n { address: 192.0.2.3 },\n { address: 192.0.2.2 }]', 7, `${path} line 3: controlPlane.neighbors[2].address must be the neighbour's own: "192.0.2.2" is also that of controlPlane.neighbors[0]`],
  ['type: evpn, as: 1, neighbors: [{ address: "2001:db8::1" }, { address: "2001:db8:0::1" }]', 7, /neighbors\[1\]\.address must be the neighbour's own/],
  ['type: evpn, as: 1, neighbors: [{ address: 192.0.2.2, as: 2,\n routeReflectorClient: true }]', 7, `${path} line 2: controlPlane.neighbors[0].routeReflectorClient is for neighbours in the node's own AS, 1: this one's is 2`],
  [`${minimal}, routerId: 2001:db8::1`, 7, /controlPlane\.routerId must be an IPv4 address other than 0\.0\.0\.0: current value is "2001:db8::1"$/],
  [`${minimal}, routerId: 0.0.0.0`, 7, /controlPlane\.routerId must be an IPv4 address other than/],
  [`${minimal}, routerId: node-1`, 7, /controlPlane\.routerId must be an IPv4 address/],
  [`${minimal}, timers: { holdSeconds: 2 }`, 7, /controlPlane\.timers\.holdSeconds must be 0, or a whole number from 3 to 65535: current value is 2$/],
  [`${minimal},\n timers: { holdSeconds: 9,\n keepaliveSeconds: 4 }`, 7, `${path} line 3: controlPlane.timers.keepaliveSeconds must be at most a third of holdSeconds, which is 9: current value is 4`],
  [`${minimal}, timers: { keepaliveSeconds: 0 }`, 7, /keepaliveSeconds must be a whole number from 1 to 65535/],
  [`${minimal}, timers: { connectSeconds: 65536 }`, 7, /connectSeconds must be a whole number from 1 to 65535/],
  [`${minimal}, timers: { hold: 9 }`, 2, /unknown key "controlPlane\.timers\.hold": the nearest known key is "controlPlane\.timers\.holdSeconds"/],
  [`${minimal}, managed: yes`, 7, /controlPlane\.managed must be true or false/],
  [`${minimal}, retainSeconds: 86401`, 7, /controlPlane\.retainSeconds must be a whole number from 0 to 86400/],
  [`${minimal}, runDirectory: var/run/frr`, 7, /controlPlane\.runDirectory must be the absolute path of a directory, at most 97 bytes/],
  [`${minimal}, runDirectory: /${'d'.repeat(97)}`, 7, /controlPlane\.runDirectory must be the absolute path of a directory/],
];
for (const [keys, cniCode, message] of refused) t.throws(() => nodeOf(keys), { cniCode, message }, keys);
t.equal(evpnOf(`${neighbor}, runDirectory: /${'d'.repeat(96)}`).runDirectory.length, 97);

const evpn = `type: evpn, as: 65000, neighbors: [{ address: 192.0.2.2 }]`;

t.test('peers, Geneve and VTEPs of IPv6 do not go together with it', (t) => {
  const rows: readonly (readonly [string, number, string | RegExp])[] = [
    ['peers: [192.0.2.2]', 7, `${path} line 2: peers must be left out where controlPlane.type is "evpn": BGP finds the other nodes`],
    ['peers: []', 7, /peers must be left out/],
    ['tenants:\n - name: blue\n   peers: [192.0.2.2]', 7, `${path} line 4: tenants[0].peers must be left out where controlPlane.type is "evpn": BGP finds the other nodes`],
    ['datapath: ovs\nencapsulation: geneve', 2, `${path} line 3: encapsulation must be "vxlan" where controlPlane.type is "evpn", for FRR announces no other: current value is "geneve"`],
    ['tenants: [{ name: blue, datapath: ovs, encapsulation: geneve }]', 2, /tenants\[0\]\.encapsulation must be "vxlan" where/],
    ['vtep: { address: 2001:db8::1 }', 2, `${path} line 2: vtep.address must be an IPv4 address where controlPlane.type is "evpn", for FRR knows no other VTEPs: current value is "2001:db8::1"`],
  ];
  for (const [lines, cniCode, message] of rows) {
    t.throws(() => nodeOf(evpn, lines), { cniCode, message }, lines);
    t.doesNotThrow(() => nodeOf('type: static', lines), lines);
  }
  t.end();
});

t.test('a plugin configuration has the control plane of its node', (t) => {
  const read = (node: NodeConf, keys: object = {}): NetConf => parseNetConf({ cniVersion: '1.0.0', name: 'blue', type: 'weft', vni: 1001, ...keys }, { node, args: noEndpointArgs });
  t.equal(read(emptyNodeConf).controlPlane, 'static');
  t.equal(read(nodeOf('type: static'), { peers: ['192.0.2.2'] }).controlPlane, 'static');
  t.match(read(nodeOf(evpn), { datapath: 'bridge', vtep: { address: '192.0.2.1' } }), { controlPlane: 'evpn', peers: [] });
  t.throws(() => read(nodeOf(evpn), { peers: ['192.0.2.2'] }), { cniCode: 7, message: 'peers must be left out where controlPlane.type is "evpn": BGP finds the other nodes' });
  t.throws(() => read(nodeOf(evpn), { peers: [] }), { cniCode: 7, message: /^peers must be left out/ });
  t.match(read(nodeOf(evpn), { datapath: 'ovs', encapsulation: 'vxlan' }), { controlPlane: 'evpn', datapath: 'ovs', encapsulation: 'vxlan', peers: [] });
  t.match(read(nodeOf(evpn, 'datapath: ovs')), { controlPlane: 'evpn', datapath: 'ovs' });
  t.throws(() => read(nodeOf(evpn), { datapath: 'ovs', encapsulation: 'geneve', peers: [] }), { code: 'unsupportedField', cniCode: 2, message: /^encapsulation must be "vxlan" where controlPlane\.type is "evpn".*; peers must be left out/ });
  t.throws(() => read(nodeOf(evpn), { vtep: { address: '2001:db8::1' } }), { cniCode: 2, message: /^vtep\.address must be an IPv4 address/ });
  t.end();
});

t.test('a password stands in no message', (t) => {
  const secret = 'hunter2';
  const rows = [
    `password: ${secret} ${secret}`, `password: [${secret}]`, `password: { ${secret}: 1 }`, `password: "${secret}ü"`, `password: "${secret.repeat(12)}"`, 'password: 4242', 'password: true', `password: "${secret}\\n"`, 'password: ""',
    `password: *${secret}`, `password: !${secret} x`, `password: @${secret}`, `password: "${secret}`, `password: ${secret}: ${secret}`, `password: %${secret}`, `password: &${secret}`,
  ];
  for (const row of rows) {
    for (const keys of [`${minimal}, ${row}`, `type: evpn, as: 1, neighbors: [{ address: 192.0.2.2, ${row} }]`, `type: static, ${row}`]) {
      try {
        nodeOf(keys);
        t.match(row, /&/, `${keys} is no configuration`);
      } catch (error) {
        const message = error instanceof Error ? `${error.message} ${String(Reflect.get(error, 'details'))}` : '';
        t.notMatch(message, /hunter2|4242/, keys);
        t.match(message, /password|quote/, keys);
      }
    }
  }
  t.end();
});
