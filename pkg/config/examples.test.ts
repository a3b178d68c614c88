import { readFileSync } from 'node:fs';
import t from 'tap';
import { formatSpan } from '../ipam/ranges.ts';
import { isJsonObject } from '../cni/json-value.ts';
import { parseEndpointArgs } from './endpoint-args.ts';
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
    t.match(conf, { network: 'blue', tenant: 'blue', vni: 1001, vtep: { interface: 'eth0', port: 4789 }, isGateway: false });
    t.same(describeRanges(conf), ['10.1.1.10-10.1.1.99', 'fd00:1::10-fd00:1::99']);
  }
  t.end();
});

t.test('weft.yaml', (t) => {
  const node = parseNodeConf(read('weft.yaml'), '/etc/weft/weft.yaml');
  t.same(node.tenants.map(({ name }) => name), ['blue', 'green']);
  const blue = parseNetConf({ cniVersion: '1.0.0', name: 'pods', type: 'weft', tenant: 'blue' }, { node, args: parseEndpointArgs(new Map()) });
  t.match(blue, { network: 'pods', tenant: 'blue', vni: 1001, mtu: 1450, isGateway: true, ipMasq: true, vtep: { interface: 'eth0', port: 4789 } });
  t.equal(blue.peers.length, 2);
  const green = parseNetConf({ cniVersion: '1.0.0', name: 'pods', type: 'weft' }, { node, args: parseEndpointArgs(new Map([['K8S_POD_NAMESPACE', 'green']])) });
  t.match(green, { tenant: 'green', vni: 1002, isGateway: false });
  t.same(describeRanges(green), ['10.1.1.10-10.1.1.99']);
  t.end();
});
