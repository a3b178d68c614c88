import t from 'tap';
import { parseAddress } from '../netaddr/netaddr.ts';
import { formatListen, type MetricsConf } from './metrics-conf.ts';
import { parseNodeConf } from './node-conf.ts';

const path = '/etc/weft/weft.yaml';
const metricsOf = (text: string): MetricsConf | undefined => parseNodeConf(`metrics: ${text}\n`, path).metrics;

t.notOk('metrics' in parseNodeConf('', path), 'who says nothing has none');
t.same(metricsOf('{ listen: "127.0.0.1:9469" }'), { listen: { address: parseAddress('127.0.0.1'), port: 9469 }, endpointsMax: 1000 });
t.same(metricsOf('{ listen: "[fd00::1]:1", endpointsMax: 0 }'), { listen: { address: parseAddress('fd00::1'), port: 1 }, endpointsMax: 0 });
for (const text of ['127.0.0.1:9469', '[::1]:9469', '0.0.0.0:65535', '[::]:1', '[2001:db8::1]:80']) {
  const conf = metricsOf(`{ listen: "${text}" }`);
  t.equal(conf && formatListen(conf.listen), text);
}

const rows: readonly (readonly [string, RegExp])[] = [
  ['true', /line 1: metrics must be an object: current value is true/],
  ['{}', /metrics\.listen must be given/],
  ['{ listen: 9469 }', /metrics\.listen must be an address and a port, such as 127\.0\.0\.1:9469, .*: current value is 9469/],
  ...['', ':9469', '127.0.0.1', '127.0.0.1:', '127.0.0.1:0', '127.0.0.1:65536', '127.0.0.1:09', '::1:9469', '[::1]', '[127.0.0.1]:9469', '[fe80::1%eth0]:9469', 'localhost:9469', '*:9469', '256.0.0.1:9469', '127.0.0.1:9469 ', 'http://127.0.0.1:9469', '[:::]:9469']
    .map((value) => [`{ listen: ${JSON.stringify(value)} }`, /metrics\.listen must be an address and a port/] as const),
  ['{ listen: "127.0.0.1:9469", endpointsMax: -1 }', /metrics\.endpointsMax must be a whole number from 0 to 100000: current value is -1/],
  ['{ listen: "127.0.0.1:9469", endpointMax: 1 }', /unknown key "metrics\.endpointMax": the nearest known key is "metrics\.endpointsMax"/],
];
for (const [text, message] of rows) t.throws(() => metricsOf(text), { message }, text);
