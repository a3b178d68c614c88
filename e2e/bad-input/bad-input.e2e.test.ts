/** What is wrong is refused: with the right code, words that say what to change, and a node that is as it was. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { netnsPath, type TeardownScope } from '../../pkg/testing/netns.ts';
import { readLinks } from '../../pkg/testing/observe.ts';
import { describeOutcome, type CniOutcome } from '../harness/cni-call.ts';
import { attachEnv, type LabNode } from '../harness/lab-node.ts';
import { createLab } from '../harness/lab.ts';
import type { NetConf } from '../harness/net-conf.ts';
import { attachGuest, blue, red, tenantConf } from '../harness/tenant.ts';
import { skipWithoutLab } from '../harness/weft-executable.ts';
import { configurationRows, ipamRows, undecodableRows, unknownKeyRows, versionRows, type Row } from './configuration-rows.ts';
import { environmentRows, netnsRows } from './environment-rows.ts';

const skip = skipWithoutLab();
t.setTimeout(170_000);

interface Bench {
  readonly node: LabNode;
  /** A container that nothing is attached to. */
  readonly container: string;
  readonly conf: NetConf;
}

t.test('input that is refused on an empty node', { skip }, async (t) => {
  const bench = createBench(t);
  const regularFile = join(bench.node.stateDirectory, '..', 'regular-file');
  writeFileSync(regularFile, '');
  const paths = { nodeNetns: netnsPath(bench.node.netns), regularFile, directory: bench.node.stateDirectory };
  const groups = { undecodableRows, versionRows, unknownKeyRows, configurationRows, ipamRows, environmentRows, netnsRows: netnsRows(paths) };
  for (const [group, rows] of Object.entries(groups)) {
    await t.test(group, async (t) => {
      for (const row of rows) await refuses(t, bench, row);
    });
  }
});

t.test('several faults are reported at once', { skip }, async (t) => {
  const bench = createBench(t);
  await refuses(t, bench, { name: 'three faults', conf: { vni: 0, mtu: 'big', isGateway: 1 }, codes: [7], says: /(?=.*vni must)(?=.*mtu must)(?=.*isGateway must)/s });
});

t.test('input that is refused beside what is there already', { skip }, async (t) => {
  const bench = createBench(t);
  const lab = createLab(t, { nodes: 1 });
  const node = lab.node(1);
  const only = { ipam: { type: 'weft', ranges: [[{ subnet: '10.1.1.0/24', rangeStart: '10.1.1.10', rangeEnd: '10.1.1.10' }]] } };
  const first = await attachGuest(lab, { ...blue, extra: only }, 1, { label: 'first' });
  const beside = { node, container: bench.container, conf: { ...tenantConf(lab, blue, 1), ...only } };
  const rows: readonly Row[] = [
    { name: 'a range that is exhausted', codes: [102], says: /10\.1\.1\.10/ },
    { name: 'a requested address that is taken', env: { CNI_ARGS: 'IP=10.1.1.10' }, codes: [103], says: /10\.1\.1\.10/ },
    { name: "another tenant's VNI", conf: { name: 'red' }, codes: [107], says: /1001.*blue|blue.*1001/s },
    { name: 'another VNI of the same tenant', conf: { vni: 1009 }, codes: [107], says: /1001/ },
    { name: "a gateway's subnet that the node has a route to", conf: { ...tenantConf(lab, red, 1), isGateway: true, ipam: { type: 'weft', ranges: [[{ subnet: '10.200.0.0/16' }]] } }, codes: [104], says: /10\.200\.0\.0/ },
    { name: 'an interface name that exists in the container', env: { CNI_NETNS: netnsPath(first.netns), CNI_CONTAINERID: 'other' }, conf: tenantConf(lab, red, 1), codes: [111], says: /eth0/ },
    { name: 'the name of loopback', env: { CNI_IFNAME: 'lo' }, conf: tenantConf(lab, red, 1), codes: [111, 4], says: /lo/ },
  ];
  for (const row of rows) await refuses(t, beside, row);
  t.match(await node.check(first.attach, first.result), { exitCode: 0 }, 'the attachment that was there is whole');
});

t.test('other verbs refuse what is wrong', { skip }, async (t) => {
  const bench = createBench(t);
  const { conf } = bench;
  await refuses(t, bench, { name: 'CHECK without prevResult', env: { CNI_COMMAND: 'CHECK' }, codes: [7], says: /prevResult/ });
  const gc = { CNI_COMMAND: 'GC', CNI_CONTAINERID: undefined, CNI_IFNAME: undefined, CNI_NETNS: undefined };
  await refuses(t, bench, { name: 'GC without its list', env: gc, conf: { ...conf, cniVersion: '1.1.0' }, codes: [7], says: /valid-attachments/ });
  await refuses(t, bench, { name: 'GC of an older version', env: gc, conf: { 'cni.dev/valid-attachments': [] }, codes: [1, 4], says: /GC.*1\.1\.0|1\.1\.0.*GC/s });
});

t.test('what only looks wrong is taken', { skip }, async (t) => {
  const bench = createBench(t);
  const environment = { CNI_SOMETHING_NEW: '1', CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAME=one;SOMETHING_NEW=1', CNI_NETNS_OVERRIDE: '' };
  const outcome = await call(bench, { name: 'foreign variables', env: environment, codes: [], says: /./ });
  t.equal(outcome.exitCode, 0, describeOutcome(outcome));
  for (const conf of ['{}', '{"name":"blue","vni":"wrong","surprise":1}', JSON.stringify({ ...bench.conf, cniVersion: '9.9.9' })]) {
    const del = await call(bench, { name: 'DEL', conf, env: { CNI_COMMAND: 'DEL', CNI_NETNS: '/run/netns/gone' }, codes: [], says: /./ });
    t.equal(del.exitCode, 0, `DEL succeeds with ${conf}: ${describeOutcome(del)}`);
  }
});

function createBench(scope: TeardownScope): Bench {
  const lab = createLab(scope, { nodes: 1 });
  return { node: lab.node(1), container: lab.container('container'), conf: tenantConf(lab, blue, 1) };
}

async function refuses(t: Test, bench: Bench, row: Row): Promise<void> {
  const before = { node: bench.node.snapshot(), container: readLinks(bench.container) };
  const outcome = await call(bench, row);
  const after = { node: bench.node.snapshot(), container: readLinks(bench.container) };
  const { error } = outcome;
  const faults = [
    ...(outcome.exitCode === 0 ? ['exit status 0'] : []),
    ...(row.codes.includes(error?.code ?? 0) ? [] : [`code ${error?.code} in the place of ${row.codes.join(' or ')}`]),
    ...(row.says.test(`${error?.msg} ${error?.details ?? ''}`) ? [] : [`the message does not say ${row.says}`]),
    ...(typeof error?.cniVersion === 'string' ? [] : ['no cniVersion']),
    ...(JSON.stringify(before) === JSON.stringify(after) ? [] : ['the node or the container changed']),
  ];
  t.same(faults, [], `${row.name}: ${describeOutcome(outcome)}`);
}

/** An ADD, right but for what the row puts over it. */
async function call({ node, container, conf }: Bench, { conf: overConf = {}, env: overEnv = {} }: Row): Promise<CniOutcome> {
  const right = attachEnv('ADD', { conf, containerId: 'c1', netns: container });
  const env = Object.fromEntries(Object.entries({ ...right, ...overEnv }).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
  return node.call({ env, stdin: typeof overConf === 'string' ? overConf : JSON.stringify({ ...conf, ...overConf }) });
}
