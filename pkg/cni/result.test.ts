import t from 'tap';
import { appendResult, parseResult, renderResult, type CniResult } from './result.ts';
import { supportedVersions } from './versions.ts';

const full: CniResult = {
  interfaces: [
    { name: 'weft-br7', mac: '02:00:00:00:00:01', mtu: 1500 },
    { name: 'eth0', mac: '02:00:00:00:00:02', mtu: 1450, sandbox: '/run/netns/a', socketPath: '/run/s', pciID: '0000:00:01.0' },
  ],
  ips: [{ address: '10.1.1.10/24', gateway: '10.1.1.1', interface: 1 }, { address: 'fd00::a/64', interface: 1 }],
  routes: [{ dst: '0.0.0.0/0', gw: '10.1.1.1', mtu: 1400, advmss: 1360, priority: 5, table: 100, scope: 0 }, { dst: '::/0' }],
  dns: { nameservers: ['10.1.1.53'], domain: 'blue.example', search: ['example'], options: ['ndots:2'] },
};

/** What is left of `full` in a version before 1.1.0. */
const reduced: CniResult = {
  ...full,
  interfaces: [{ name: 'weft-br7', mac: '02:00:00:00:00:01' }, { name: 'eth0', mac: '02:00:00:00:00:02', sandbox: '/run/netns/a' }],
  routes: [{ dst: '0.0.0.0/0', gw: '10.1.1.1' }, { dst: '::/0' }],
};

t.strictSame(renderResult(full, '1.1.0'), { cniVersion: '1.1.0', ...full }, '1.1.0 has every field');
t.strictSame(renderResult(full, '1.0.0'), { cniVersion: '1.0.0', ...reduced }, '1.0.0 has no field of 1.1.0');
t.strictSame(renderResult(full, '0.4.0'), {
  cniVersion: '0.4.0',
  ...reduced,
  ips: [{ version: '4', address: '10.1.1.10/24', gateway: '10.1.1.1', interface: 1 }, { version: '6', address: 'fd00::a/64', interface: 1 }],
}, '0.4.0 names the family of each address');

for (const version of supportedVersions) {
  const printed: unknown = JSON.parse(JSON.stringify(renderResult(full, version)));
  t.strictSame(parseResult(printed), version === '1.1.0' ? full : reduced, `${version} reads back`);
}

const empty: CniResult = { interfaces: [], ips: [], routes: [], dns: {} };

const readable: readonly (readonly [string, unknown, CniResult])[] = [
  ['an empty object', {}, empty],
  ['nulls where Go has nil', { interfaces: null, ips: null, routes: null, dns: null }, empty],
  ['an IPAM result of 0.3.1', { cniVersion: '0.3.1', ips: [{ version: '4', address: '10.0.0.4/24' }], dns: {} }, { ...empty, ips: [{ address: '10.0.0.4/24' }] }],
  ['an index where there are no interfaces', { ips: [{ address: '10.0.0.4/24', interface: 2 }] }, { ...empty, ips: [{ address: '10.0.0.4/24' }] }],
  ['empty optional strings', { interfaces: [{ name: 'br0', mac: '', sandbox: '' }] }, { ...empty, interfaces: [{ name: 'br0' }] }],
  ['fields of a version to come', { ips: [], colour: 'blue', dns: { colour: 1 } }, empty],
  ['the largest table', { routes: [{ dst: '::/0', table: 4294967295 }] }, { ...empty, routes: [{ dst: '::/0', table: 4294967295 }] }],
];

for (const [name, value, expected] of readable) t.strictSame(parseResult(value), expected, `reads ${name}`);

const malformed: readonly (readonly [unknown, string | RegExp])[] = [
  [null, 'prevResult must be a JSON object: current value is null'],
  ['{}', 'prevResult must be a JSON object: current value is "{}"'],
  [[], 'prevResult must be a JSON object: current value is an array'],
  [{ ip4: { ip: '10.0.0.1/24' } }, "prevResult must have the form of CNI 0.3.0 or newer (ips): current form is 0.2.0's (ip4, ip6)"],
  [{ ips: {} }, 'prevResult.ips must be an array: current value is an object'],
  [{ ips: ['10.0.0.1/24'] }, 'prevResult.ips[0] must be a JSON object: current value is "10.0.0.1/24"'],
  [{ ips: [{}] }, 'prevResult.ips[0].address must be an IP address and prefix length such as 10.1.1.10/24: current value is missing'],
  [{ ips: [{ address: null }] }, /ips\[0\]\.address must be .*: current value is null/],
  [{ ips: [{ address: '10.0.0.1' }] }, /ips\[0\]\.address must be .*: current value is "10\.0\.0\.1"/],
  [{ ips: [{ address: '10.0.0.1/24\n' }] }, /ips\[0\]\.address/],
  [{ ips: [{ address: 'fe80::1%eth0/64' }] }, /ips\[0\]\.address/],
  [{ ips: [{ address: '10.0.0.1/24', gateway: 'gw' }] }, 'prevResult.ips[0].gateway must be an IP address: current value is "gw"'],
  [{ interfaces: [{ name: 'a' }], ips: [{ address: '10.0.0.1/24', interface: 1 }] }, 'prevResult.ips[0].interface must be an index into prevResult.interfaces, which has 1 entries: current value is 1'],
  [{ interfaces: [{ name: 'a' }], ips: [{ address: '10.0.0.1/24', interface: -1 }] }, 'prevResult.ips[0].interface must be a whole number from 0 to 4294967295: current value is -1'],
  [{ interfaces: [{ name: 'a' }], ips: [{ address: '10.0.0.1/24', interface: '0' }] }, /ips\[0\]\.interface must be a whole number/],
  [{ interfaces: [{ mac: '02:00:00:00:00:01' }] }, 'prevResult.interfaces[0].name must be a string: current value is missing'],
  [{ interfaces: [{ name: '' }] }, 'prevResult.interfaces[0].name must be a string: current value is ""'],
  [{ interfaces: [{ name: 'a', mtu: 1.5 }] }, /interfaces\[0\]\.mtu must be a whole number/],
  [{ interfaces: [{ name: 'a', mac: 2 }] }, 'prevResult.interfaces[0].mac must be a string: current value is 2'],
  [{ routes: [{ gw: '10.0.0.1' }] }, /routes\[0\]\.dst must be .*: current value is missing/],
  [{ routes: [{ dst: '0.0.0.0/0', table: 4294967296 }] }, /routes\[0\]\.table must be a whole number/],
  [{ dns: [] }, 'prevResult.dns must be a JSON object: current value is an array'],
  [{ dns: { nameservers: '10.0.0.53' } }, 'prevResult.dns.nameservers must be an array of strings: current value is "10.0.0.53"'],
  [{ dns: { search: [1] } }, 'prevResult.dns.search must be an array of strings: current value is an array'],
];

for (const [value, message] of malformed) t.throws(() => parseResult(value), { code: 'invalidConfiguration', cniCode: 7, message }, `refuses ${JSON.stringify(value)}`);
t.throws(() => parseResult(3, 'result'), { message: 'result must be a JSON object: current value is 3' }, 'the subject is named');

const own: CniResult = {
  interfaces: [{ name: 'weft-pabc' }, { name: 'net1', sandbox: '/run/netns/a' }],
  ips: [{ address: '10.2.0.2/24', interface: 1 }, { address: '10.2.0.3/24' }],
  routes: [{ dst: '10.3.0.0/16' }],
  dns: { nameservers: ['10.2.0.53'], domain: 'own.example' },
};
const chained = appendResult({ ...full, dns: { nameservers: ['10.1.1.53'] } }, own);
t.same(chained.interfaces.map((item) => item.name), ['weft-br7', 'eth0', 'weft-pabc', 'net1'], 'earlier interfaces come first');
t.same(chained.ips.map((ip) => ip.interface), [1, 1, 3, undefined], 'own indices move behind the earlier interfaces');
t.same(chained.routes.map((route) => route.dst), ['0.0.0.0/0', '::/0', '10.3.0.0/16'], 'routes of both');
t.strictSame(chained.dns, { nameservers: ['10.1.1.53'], domain: 'own.example' }, 'earlier DNS fields stand');
t.strictSame(appendResult(empty, own), own, 'nothing before: own result unchanged');
t.strictSame(appendResult(full, empty), full, 'nothing of its own: earlier result unchanged');
