/** The node configuration of a running daemon: changed, changed while containers run, broken, mended. */
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { describeOutcome } from '../harness/cni-call.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { readSegment, readTenant } from '../harness/kernel-view.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { createLab, createLabOf } from '../harness/lab.ts';
import type { NetConf } from '../harness/net-conf.ts';
import { Daemon, throughLauncher } from '../harness/daemon.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { readAttention } from './scene.ts';

const skip = skipWithoutDaemonLab();
t.setTimeout(120_000);

const peers = { one: ['10.200.0.12'], two: ['10.200.0.12', '10.200.0.13'], none: [] } as const;
const blue: NetConf = { cniVersion: '1.0.0', name: 'blue', type: 'weft', tenant: 'blue' };
const red: NetConf = { cniVersion: '1.0.0', name: 'red', type: 'weft', tenant: 'red' };

interface YamlOptions {
  readonly peers?: readonly string[];
  readonly tenants?: readonly string[];
  /** Of the node. @default as Linux bridges need it */
  readonly wiring?: string;
}

/** A node configuration with tenant blue, and red where it is asked for. */
function yaml({ peers: list = peers.one, tenants = ['blue'], wiring = 'vtep: {interface: eth0}' }: YamlOptions = {}): string {
  const vnis: Readonly<Record<string, number>> = { blue: 1001, red: 1002 };
  const lines = tenants.map((name) => `  - {name: ${name}, vni: ${vnis[name]}, ipam: {type: weft, ranges: [[{subnet: 10.1.1.0/24, rangeStart: 10.1.1.10}]]}}`);
  return ['node: configured', wiring, `peers: [${list.join(', ')}]`, 'tenants:', ...lines, ''].join('\n');
}

/** As editors and tools do it: a new file takes the old one's place. */
function replace({ configPath }: LabNode, text: string): void {
  writeFileSync(`${configPath}.new`, text);
  renameSync(`${configPath}.new`, configPath);
}

t.test('a changed file is in force by itself, SIGHUP or not', { skip }, async (t) => {
  const lab = createLab(t, { nodes: 1, ...throughLauncher });
  const node = lab.node(1);
  replace(node, yaml());
  const daemon = await Daemon.start(t, node);
  t.match(await daemon.status(), { node: 'configured', configPath: node.configPath });
  const one = await lab.attach(node, { label: 'one', conf: blue });
  const unknown = { conf: red, containerId: 'red', netns: lab.container('red') };
  const refused = await node.add(unknown);
  t.match(refused, { exitCode: 1, error: { code: 7 } }, `red is not known yet: ${describeOutcome(refused)}`);

  replace(node, yaml({ tenants: ['blue', 'red'] }));
  await daemon.logged(/another node configuration is in force/);
  const added = await node.add(unknown);
  t.match(added, { exitCode: 0, stderr: '' }, `red is usable: ${describeOutcome(added)}`);
  t.same(readSegment(node.netns, 1002).floodList, ['10.200.0.12']);
  t.match(await node.del(unknown), { exitCode: 0, stderr: '' });

  writeFileSync(node.configPath, yaml({ tenants: ['blue'] }));
  await daemon.eventually('has seen a file that is written in place', () => daemon.linesOf(/another node configuration/).length === 2);
  t.match(await node.add(unknown), { exitCode: 1, error: { code: 7 } }, 'red is gone again');
  daemon.signal('SIGHUP');
  t.match(await node.check(one.attach, one.result), { exitCode: 0, stderr: '' }, 'the container that was there all the time');
  t.equal(daemon.linesOf(/another node configuration/).length, 2, 'SIGHUP without a change changes nothing');
  await lab.detach(one);
});

testEachDatapath('changed peers reach the kernel of a tenant that is running', async (t, datapath) => {
  const lab = await createLabOf(t, [datapath], throughLauncher);
  const node = lab.node(1);
  const wiring = `${node.wiring}vtep: {interface: ${node.underlayIf}}`;
  replace(node, yaml({ wiring }));
  const daemon = await Daemon.start(t, node);
  const one = await lab.attach(node, { label: 'one', conf: blue });
  const peersNow = (): readonly string[] => readTenant(node, 1001)?.peers ?? [];
  const floods = (list: readonly string[]): Promise<void> => daemon.eventually(`floods to ${list.join(', ') || 'nobody'}`, () => `${peersNow()}` === `${list}`);
  t.same(peersNow(), peers.one);
  for (const [list, words] of [[peers.two, 'the peers of tenant blue are now 10.200.0.12, 10.200.0.13'], [peers.none, 'the peers of tenant blue are now none'], [peers.one, 'the peers of tenant blue are now 10.200.0.12']] as const) {
    replace(node, yaml({ peers: list, wiring }));
    await floods(list);
    t.match(await daemon.logged(/repaired/, ({ repaired }) => repaired === words), { subject: 'plan of blue' }, words);
    t.equal((await daemon.status()).reconciler.repairs.at(-1)?.what, words, 'in the status too');
    const check = await node.check(one.attach, one.result);
    t.match(check, { exitCode: 0 }, `CHECK expects the same: ${describeOutcome(check)}`);
  }
  t.same(await readAttention(node), []);
  await lab.detach(one);
}, { skip });

t.test('a broken file is refused; mending it is enough', { skip }, async (t) => {
  const lab = createLab(t, { nodes: 1, ...throughLauncher });
  const node = lab.node(1);
  replace(node, yaml());
  const daemon = await Daemon.start(t, node);
  const fault = /unknown key "pears": the nearest known key is "peers"/;
  replace(node, yaml().replace('peers', 'pears'));
  t.match(await daemon.logged(/was refused/), { level: 'error', error: fault, path: node.configPath });
  t.match((await daemon.status()).configError, fault);
  t.match((await readAttention(node)).join('\n'), /the daemon has refused the node configuration and keeps the one before: .*pears/);
  const one = await lab.attach(node, { label: 'one', conf: blue });
  t.same(readSegment(node.netns, 1001).floodList, peers.one, 'the one before is in force');
  t.match(await node.status(blue), { exitCode: 0, stderr: '' });

  rmSync(node.configPath);
  await daemon.eventually('misses the file', async () => /Cannot read the node configuration/.test((await daemon.status()).configError ?? ''));
  t.match(await node.check(one.attach, one.result), { exitCode: 0, stderr: '' }, 'a file that is gone is a fault too');

  replace(node, yaml());
  t.match(await daemon.logged(/the node configuration is mended/), { level: 'info' });
  t.equal((await daemon.status()).configError, undefined);
  t.same(await readAttention(node), []);
  replace(node, 'tenants: [');
  await daemon.eventually('refuses the file', async () => (await daemon.status()).configError !== undefined);
  replace(node, yaml({ tenants: ['blue', 'red'] }));
  await daemon.logged(/another node configuration is in force/);
  t.equal((await daemon.status()).configError, undefined, 'another sound one clears it as well');
  await lab.detach(one);
  t.equal(await daemon.stop(), 0);
});

t.test('a broken file, and SIGHUP', { skip }, async (t) => {
  const lab = createLab(t, { nodes: 1, ...throughLauncher });
  const node = lab.node(1);
  const elsewhere = join(dirname(node.configPath), 'elsewhere');
  mkdirSync(elsewhere);
  // What the link leads to is in a directory that nobody watches.
  const file = join(elsewhere, 'real.yaml');
  writeFileSync(file, yaml());
  rmSync(node.configPath);
  symlinkSync(file, node.configPath);
  const daemon = await Daemon.start(t, node);
  writeFileSync(file, yaml({ tenants: ['blue', 'red'] }));
  daemon.signal('SIGHUP');
  await daemon.logged(/another node configuration is in force/);
  writeFileSync(file, 'vtep: 5\n');
  daemon.signal('SIGHUP');
  t.match(await daemon.logged(/was refused/), { level: 'error', error: /vtep/ });
  writeFileSync(file, yaml({ tenants: ['blue', 'red'] }));
  daemon.signal('SIGHUP');
  await daemon.logged(/is mended/);
  t.equal(await daemon.stop(), 0);
});

t.test('links that are exchanged, as Kubernetes does with a ConfigMap', { skip }, async (t) => {
  const lab = createLab(t, { nodes: 1, ...throughLauncher });
  const node = lab.node(1);
  const directory = join(dirname(node.configPath), 'mounted');
  const publish = (version: string, text: string): void => {
    mkdirSync(join(directory, version), { recursive: true });
    writeFileSync(join(directory, version, 'weft.yaml'), text);
    symlinkSync(version, join(directory, '..data_tmp'));
    renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
  };
  publish('..v1', yaml());
  symlinkSync('..data/weft.yaml', join(directory, 'weft.yaml'));
  const daemon = await Daemon.start(t, node, { env: { WEFT_CONFIG: join(directory, 'weft.yaml') } });
  publish('..v2', yaml({ tenants: ['blue', 'red'] }));
  await daemon.logged(/another node configuration is in force/);
  t.equal(await daemon.stop(), 0);
});
