import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { emptyNodeConf } from '../../config/node-model.ts';
import { stateOf } from './kernel-features.ts';
import { readNetworks } from './networks.ts';
import { parseUdpSockets } from './others.ts';

void t.test('what a kernel was built with', (t) => {
  const none = { builtIn: undefined, modules: undefined, options: undefined };
  const of = (sources: Partial<Parameters<typeof stateOf>[2]>): string => stateOf('vxlan', 'CONFIG_VXLAN', { ...none, ...sources });
  t.equal(of({}), 'unknown');
  t.equal(of({ builtIn: 'kernel/drivers/net/vxlan/vxlan.ko\n' }), 'present');
  t.equal(of({ builtIn: '', modules: 'kernel/drivers/net/vxlan/vxlan.ko.xz: kernel/net/ipv4/udp_tunnel.ko.xz\n' }), 'loadable');
  t.equal(of({ builtIn: '', modules: 'kernel/net/other.ko: kernel/drivers/net/myvxlan.ko\n' }), 'absent', 'another name that ends so');
  t.equal(of({ options: '# CONFIG_VXLAN is not set\nCONFIG_VXLAN_X=y\n' }), 'absent');
  t.equal(of({ options: 'CONFIG_VXLAN=y\n' }), 'present');
  t.equal(of({ options: 'CONFIG_VXLAN=m\n' }), 'unknown', 'its modules are elsewhere');
  t.equal(of({ options: 'CONFIG_VXLAN=m\n', builtIn: '', modules: '' }), 'absent', 'they were not installed');
  t.end();
});

void t.test('networks', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-doctor-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const write = (name: string, text: string): void => writeFileSync(join(directory, name), text);
  const weft = { type: 'weft', vni: 1001 };
  write('10-list.conflist', JSON.stringify({ cniVersion: '1.0.0', name: 'blue', plugins: [weft, { type: 'portmap' }] }));
  write('20-single.conf', JSON.stringify({ cniVersion: '1.0.0', name: 'red', ...weft, vni: 1002 }));
  write('30-refused.json', JSON.stringify({ cniVersion: '1.0.0', name: 'green', plugins: [{ ...weft, vin: 1 }] }));
  write('40-cut.conflist', '{ "type": "weft"');
  write('50-list.conflist', '[]');
  write('60-plugins.conflist', JSON.stringify({ name: 'x', plugins: [7] }));
  write('70-other.txt', 'nobody reads it');
  mkdirSync(join(directory, '80-directory.conf'));
  const read = readNetworks(directory, emptyNodeConf);
  t.match(read.map(({ file }) => ({ path: file.path.slice(directory.length + 1), ...file.content })), [
    { path: '10-list.conflist', kind: 'read', types: ['weft', 'portmap'], refusals: [] },
    { path: '20-single.conf', kind: 'read', types: ['weft'], refusals: [] },
    { path: '30-refused.json', kind: 'read', refusals: [/vin/] },
    { path: '40-cut.conflist', kind: 'unreadable', isOfWeft: true },
    { path: '50-list.conflist', kind: 'unreadable', isOfWeft: false, problem: /it must be a JSON object$/ },
    { path: '60-plugins.conflist', kind: 'unreadable', problem: /plugins must be a list of JSON objects$/ },
    { path: '80-directory.conf', kind: 'unreadable', isOfWeft: false },
  ]);
  t.same(read.flatMap(({ confs }) => confs.map(({ tenant, vni }) => `${tenant} ${vni}`)), ['blue 1001', 'red 1002']);
  t.same(readNetworks(directory, undefined)[2]?.file.content, { kind: 'read', types: ['weft'], refusals: [] }, 'where the node’s configuration is invalid that is what is said');
  t.same(readNetworks(join(directory, 'nowhere'), emptyNodeConf), []);
  t.end();
});

void t.test('UDP sockets', (t) => {
  const table = [
    '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops',
    '  123: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1234 2 0000000000000000 0',
    ' 1234: 00000000000000000000000000000000:12B5 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 7 2 0 0',
  ].join('\n');
  t.same(parseUdpSockets(table), [{ port: 53 }, { port: 4789 }]);
  t.same(parseUdpSockets(''), []);
  t.end();
});
