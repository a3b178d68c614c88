import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { formatSpan } from '../ipam/ranges.ts';
import { formatAddress, parseAddress } from '../netaddr/netaddr.ts';
import { isJsonObject } from '../cni/json-value.ts';
import { noEndpointArgs, parseEndpointArgs } from './endpoint-args.ts';
import { emptyNodeConf, parseNodeConf } from './node-conf.ts';
import { parseNetConf, type NetConf } from './net-conf.ts';

/** The files in conf/ are what users copy: they must be right, and mean what their comments say. */
function read(name: string): string {
  return readFileSync(new URL(`../../conf/${name}`, import.meta.url), 'utf8');
}

/** What libcni makes of a list's first plugin (libcni/api.go, buildOneConfig). */
function pluginOf(conflist: string, cniVersion: string): Readonly<Record<string, unknown>> {
  const list: unknown = JSON.parse(conflist);
  const plugin: unknown = isJsonObject(list) && Array.isArray(list['plugins']) ? list['plugins'][0] : undefined;
  if (!isJsonObject(list) || !isJsonObject(plugin)) throw new TypeError('no list of plugins');
  return { ...plugin, name: list['name'], cniVersion };
}

function describeRanges({ ipam }: NetConf): readonly string[] {
  return ipam.type === 'weft' ? ipam.pool.sets.flat().map(formatSpan) : [];
}

t.test('10-weft.conflist', (t) => {
  for (const version of ['1.0.0', '1.1.0']) {
    const conf = parseNetConf(pluginOf(read('10-weft.conflist'), version), { node: emptyNodeConf, args: parseEndpointArgs(new Map()) });
    t.equal(conf.cniVersion, version);
    t.match(conf, { network: 'blue', tenant: 'blue', vni: 1001, datapath: 'bridge', encapsulation: 'vxlan', vtep: { interface: 'eth0', port: 4789 }, isGateway: false });
    t.same(describeRanges(conf), ['10.1.1.10-10.1.1.99', 'fd00:1::10-fd00:1::99']);
  }
  t.end();
});

t.test('weft.yaml', (t) => {
  const node = parseNodeConf(read('weft.yaml'), '/etc/weft/weft.yaml');
  t.same(node.tenants.map(({ name }) => name), ['blue', 'green']);
  t.notOk('migration' in node, 'who copies it has no key yet');
  const blue = parseNetConf({ cniVersion: '1.0.0', name: 'pods', type: 'weft', tenant: 'blue' }, { node, args: parseEndpointArgs(new Map()) });
  t.match(blue, { network: 'pods', tenant: 'blue', vni: 1001, mtu: 1450, isGateway: true, ipMasq: true, vtep: { interface: 'eth0', port: 4789 } });
  t.equal(blue.peers.length, 2);
  const green = parseNetConf({ cniVersion: '1.0.0', name: 'pods', type: 'weft' }, { node, args: parseEndpointArgs(new Map([['K8S_POD_NAMESPACE', 'green']])) });
  t.match(green, { tenant: 'green', vni: 1002, isGateway: false });
  t.match(green, { tenantBandwidth: { ingress: { rateBits: 1e9 }, egress: { rateBits: 1e9, burstBits: 25e6 } }, bandwidth: { egress: { rateBits: 200e6 } } });
  t.same(describeRanges(green), ['10.1.1.10-10.1.1.99']);
  t.end();
});

t.test('weft.yaml, what it says of metrics in comments', (t) => {
  t.notOk('metrics' in parseNodeConf(read('weft.yaml'), '/etc/weft/weft.yaml'));
  const section = /^# metrics:\n(#.*\n)+/m.exec(read('weft.yaml'))?.[0].replace(/^# /gm, '') ?? '';
  const { metrics } = parseNodeConf(section, '/etc/weft/weft.yaml');
  t.same(metrics, { listen: { address: parseAddress('127.0.0.1'), port: 9469 }, endpointsMax: 1000 });
  t.same(parseNodeConf(section.replace(/^  endpointsMax:.*$/m, ''), '/etc/weft/weft.yaml').metrics, metrics, 'what it calls default is the default');
  t.end();
});

t.test('weft.yaml, what it says of migration in comments', (t) => {
  const section = /^# migration:\n(#.*\n)+/m.exec(read('weft.yaml'))?.[0].replace(/^# /gm, '') ?? '';
  const conf = (text: string): unknown => parseNodeConf(text, '/etc/weft/weft.yaml').migration;
  t.throws(() => conf(section), { message: /line 7: migration must have only one of keyFile, tls$/ });
  const withKey = section.replace(/^  tls:\n(    .*\n)+/m, '');
  t.match(conf(withKey), { authentication: { by: 'keyFile', path: '/etc/weft/migration.key' }, port: 24790, listen: parseAddress('192.0.2.1'), timeoutSeconds: 3600 });
  t.match(conf(section.replace(/^  keyFile:.*$/m, '')), { authentication: { by: 'tls', files: { certificate: '/etc/weft/node.pem', key: '/etc/weft/node.key', ca: '/etc/weft/ca.pem' } } });
  const { listen, ...rest } = parseNodeConf(withKey, '/etc/weft/weft.yaml').migration ?? {};
  t.ok(listen);
  t.same(conf(withKey.replace(/^  (port|timeout|listen):.*$/gm, '')), rest, 'what it calls defaults are the defaults');
  t.end();
});

t.test('10-weft-ovs.conflist', (t) => {
  const conf = parseNetConf(pluginOf(read('10-weft-ovs.conflist'), '1.0.0'), { node: emptyNodeConf, args: noEndpointArgs });
  t.match(conf, { network: 'blue', tenant: 'blue', vni: 1001, datapath: 'ovs', encapsulation: 'geneve', vtep: { interface: 'eth0', port: 6081 } });
  t.equal(conf.peers.length, 2);
  t.same(describeRanges(conf), ['10.1.1.10-10.1.1.99', 'fd00:1::10-fd00:1::99']);
  t.end();
});

t.test('weft-ovs.yaml', (t) => {
  const node = parseNodeConf(read('weft-ovs.yaml'), '/etc/weft/weft.yaml');
  t.same(node.ovs, { database: '/var/run/openvswitch/db.sock', bridge: 'weft-int', datapathType: 'system' });
  const wiring = (keys: Readonly<Record<string, unknown>>): unknown => {
    const { datapath, encapsulation, vtep } = parseNetConf({ cniVersion: '1.0.0', name: 'pods', type: 'weft', ...keys }, { node, args: noEndpointArgs });
    return { datapath, encapsulation, port: vtep.port };
  };
  t.same(wiring({ tenant: 'blue' }), { datapath: 'ovs', encapsulation: 'vxlan', port: 4789 });
  t.same(wiring({ tenant: 'green' }), { datapath: 'ovs', encapsulation: 'geneve', port: 6081 });
  t.same(wiring({ tenant: 'blue', datapath: 'bridge' }), { datapath: 'bridge', encapsulation: 'vxlan', port: 4789 }, "a plugin's configuration may say otherwise");
  t.end();
});

t.test('weft-evpn.yaml', (t) => {
  const node = parseNodeConf(read('weft-evpn.yaml'), '/etc/weft/weft.yaml');
  const { controlPlane } = node;
  if (controlPlane?.type !== 'evpn') throw new TypeError('no EVPN');
  t.match(controlPlane, { as: 65000, managed: true, runDirectory: '/var/run/frr', retainSeconds: 120, timers: { keepaliveSeconds: 3, holdSeconds: 9, connectSeconds: 1 } });
  t.equal(controlPlane.routerId && formatAddress(controlPlane.routerId), '192.0.2.1');
  t.same(controlPlane.neighbors.map(({ address, ...neighbor }) => ({ ...neighbor, address: formatAddress(address) })), [
    { address: '192.0.2.2', as: 65000, password: 'another-secret', routeReflectorClient: true },
    { address: '192.0.2.3', as: 65000, password: 'secret', routeReflectorClient: false },
  ]);
  const written = read('weft-evpn.yaml').replace(/^ +(timers:|keepaliveSeconds|holdSeconds|connectSeconds|managed|runDirectory|retainSeconds).*$/gm, '');
  t.same(parseNodeConf(written, '/etc/weft/weft.yaml').controlPlane, controlPlane, 'what it calls defaults are the defaults');
  t.match(parseNetConf({ cniVersion: '1.0.0', name: 'pods', type: 'weft', tenant: 'blue' }, { node, args: noEndpointArgs }), { controlPlane: 'evpn', datapath: 'bridge', vni: 1001, peers: [] });
  t.end();
});

/** What no configuration of weft's is, and has tests of its own. */
const elsewhere = new Set(['kubernetes', 'libvirt-hook', 'weft-alerts.yaml', 'weft-dashboard.json', 'weft.schema.json', 'weft.service']);

t.test('every example is looked at here', (t) => {
  const examples = readdirSync(new URL('../../conf/', import.meta.url)).filter((name) => !elsewhere.has(name));
  t.same(examples.toSorted(), ['10-weft-ovs.conflist', '10-weft.conflist', 'weft-evpn.yaml', 'weft-ovs.yaml', 'weft.yaml']);
  t.end();
});
