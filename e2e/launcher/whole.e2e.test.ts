/** The real weft behind the launcher, on a node without a daemon. */
import { dirname, join } from 'node:path';
import t from 'tap';
import { readAddresses } from '../../pkg/testing/observe.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { attachEnv, type Attach, type LabNode } from '../harness/lab-node.ts';
import { createLab, type Lab } from '../harness/lab.ts';
import { netConf, type NetConf } from '../harness/net-conf.ts';
import { skipWithoutLab, weftExecutable } from '../harness/weft-executable.ts';
import { describe, launch, launcherExecutable, pendingDels, skipLauncherUnlessRoot, type Launched } from './launch.ts';

const skip = skipWithoutLab() || skipLauncherUnlessRoot;
t.setTimeout(90_000);

interface Site {
  readonly lab: Lab;
  readonly node: LabNode;
  /** The network of tenant blue, which has one address. */
  readonly conf: NetConf;
}

function createSite(scope: Parameters<typeof createLab>[0]): Site {
  const lab = createLab(scope, { nodes: 1, executable: launcherExecutable, env: { WEFT_EXE: weftExecutable } });
  const node = lab.node(1);
  const range = { subnet: '10.1.1.0/24', rangeStart: '10.1.1.10', rangeEnd: '10.1.1.10' };
  return { lab, node, conf: netConf({ name: 'blue', vni: 1001, vtep: node.ipv4, peers: [], ranges: [[range]] }) };
}

t.test('every verb', { skip }, async (t) => {
  const { lab, node, conf } = createSite(t);
  const before = node.snapshot();
  const version = await node.version();
  t.match(version.result, { supportedVersions: ['0.4.0', '1.0.0', '1.1.0'] }, describeOutcome(version));
  const one = await lab.attach(node, { label: 'one', conf });
  t.same(readAddresses(one.netns, 'eth0').map(({ local }) => local).filter((address) => address.startsWith('10.')), ['10.1.1.10']);
  t.match(await node.check(one.attach, one.result), { exitCode: 0, stderr: '' });
  const status = await node.status(conf);
  t.match([status.exitCode, status.error?.code], [1, 50], `the only address is taken: ${describeOutcome(status)}`);
  const refused = await node.add({ conf, containerId: 'two', netns: lab.container('two') });
  t.match([refused.exitCode, refused.error?.code], [1, 102], describeOutcome(refused));
  t.match(await node.gc(conf, []), { exitCode: 0, stdout: '' });
  await lab.detach(one);
  t.same(node.snapshot().links, before.links);
});

t.test('what is wrong is refused in the words of weft', { skip }, async (t) => {
  const { lab, node, conf } = createSite(t);
  const env = attachEnv('ADD', { conf, containerId: 'one', netns: lab.container('one') });
  const rows: readonly (readonly [string, number, RegExp])[] = [
    ['', 6, /must be a JSON object: stdin is empty/],
    [`{"padding":"${'x'.repeat(1024 * 1024)}"}`, 6, /must have at most 1048576 bytes: it has more/],
    [JSON.stringify({ ...conf, vni: 0 }), 7, /vni must/],
  ];
  for (const [stdin, code, words] of rows) {
    const outcome = await node.call({ env, stdin });
    t.match(outcome, { exitCode: 1, error: { code, msg: words } }, describeOutcome(outcome));
  }
});

t.test('a DEL that was written down is done by the next call', { skip }, async (t) => {
  const { lab, node, conf } = createSite(t);
  const one = await lab.attach(node, { label: 'one', conf });
  const del = await delWithoutWeft(node, one.attach);
  t.match(del, { exitCode: 0, stderr: /is written down in/ }, describe(del));
  t.match(pendingDels(node.stateDirectory), [{ del: { containerId: one.attach.containerId, ifName: 'eth0', conf: JSON.stringify(conf) } }]);
  const two = await lab.attach(node, { label: 'two', conf });
  t.match(two.result.ips, [{ address: '10.1.1.10/24' }], 'the address is free again');
  t.same(pendingDels(node.stateDirectory), [], 'and it is written down no longer');
});

t.test('a DEL that was written down with a configuration that is none', { skip }, async (t) => {
  const { lab, node, conf } = createSite(t);
  const one = await lab.attach(node, { label: 'one', conf });
  t.match(await delWithoutWeft(node, one.attach, 'no JSON'), { exitCode: 0 });
  t.match(await delWithoutWeft(node, { ...one.attach, containerId: 'unknown' }, 'no JSON'), { exitCode: 0 });
  const two = await node.add({ conf, containerId: 'two', netns: lab.container('two') });
  t.match(two, { exitCode: 0, stderr: '', result: { ips: [{ address: '10.1.1.10/24' }] } }, describeOutcome(two));
  t.same(pendingDels(node.stateDirectory), [], 'both are done');
});

/** A DEL with the node's directories, on a machine where weft cannot be executed. */
async function delWithoutWeft({ stateDirectory }: LabNode, attach: Attach, stdin: string = JSON.stringify(attach.conf)): Promise<Launched> {
  const directory = dirname(stateDirectory);
  const env = { ...attachEnv('DEL', attach), WEFT_EXE: undefined };
  return launch({ directory, stateDirectory, runDirectory: join(directory, 'run') }, { before: ':', env, stdin });
}
