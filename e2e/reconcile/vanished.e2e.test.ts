/**
 * Containers that go without a DEL, as containerd's do after a crash. Each is collected at the second observation, ten seconds after
 * the first; all are waited for together.
 */
import { spawn } from 'node:child_process';
import type { Test } from 'tap';
import { run } from '../../pkg/testing/command.ts';
import { undoAtExit } from '../../pkg/testing/exit-cleanup.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { readEndpoints } from '../daemon/scene.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { ping } from '../harness/container.ts';
import { createDaemonLabOf, Daemon } from '../harness/daemon.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import type { DatapathName, LabNode } from '../harness/lab-node.ts';
import type { Attached, Lab } from '../harness/lab.ts';
import { netConf, type NetConf } from '../harness/net-conf.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { debugging, fullPass } from './full-pass.ts';
import { hostIfOf } from './scene.ts';

const skip = skipWithoutDaemonLab();

interface Scene {
  readonly lab: Lab;
  readonly node: LabNode;
  readonly daemon: Daemon;
  readonly conf: NetConf;
}

/** Three addresses: one that is not freed is missed. */
async function createScene(t: Test, datapath: DatapathName): Promise<Scene> {
  const { lab, daemons } = await createDaemonLabOf(t, [datapath], { daemon: debugging });
  const [node, daemon] = [lab.node(1), daemons[0]];
  if (daemon === undefined) throw new Error('the lab has no daemon');
  const ranges = [[{ subnet: '10.1.1.0/24', rangeStart: '10.1.1.10', rangeEnd: '10.1.1.12' }]];
  return { lab, node, daemon, conf: netConf({ name: 'blue', vni: 1001, vtep: node.ipv4, peers: [], ranges }) };
}

function addressOf({ result }: Attached): string {
  return result.ips?.[0]?.address.replace(/\/.*/, '') ?? '';
}

async function hasEndpoint(node: LabNode, { attach }: Attached): Promise<boolean> {
  return (await readEndpoints(node)).some(({ containerId }) => containerId === attach.containerId);
}

/** A process that lives in the namespace and keeps it. @returns what ends it */
function occupy(scope: TeardownScope, netns: string): { readonly isInside: Promise<void>; end(): void } {
  const child = spawn('ip', ['netns', 'exec', netns, 'sh', '-c', 'echo inside; exec sleep 120'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const end = (): void => void child.kill('SIGKILL');
  const forget = undoAtExit(end);
  scope.teardown(() => {
    forget();
    end();
  });
  return { isInside: new Promise((resolve) => child.stdout.once('data', () => resolve())), end };
}

/** Damages the container's host interface once a second, until the scope ends. */
function harass(scope: TeardownScope, attached: Attached): void {
  const hostIf = hostIfOf(attached);
  const timer = setInterval(() => void run('ip', ['-n', attached.node.netns, 'link', 'set', hostIf, 'alias', 'mine']), 1000);
  scope.teardown(() => clearInterval(timer));
}

async function expectFree(t: Test, { lab, node, conf }: Scene, address: string): Promise<void> {
  const heir = await lab.attach(node, { label: 'heir', conf, args: `IP=${address}` });
  t.equal(addressOf(heir), address, 'its address is free again');
  await lab.detach(heir);
}

async function collectsVanished(t: Test, datapath: DatapathName): Promise<void> {
  const scene = await createScene(t, datapath);
  const { lab, node, daemon, conf } = scene;
  const stays = await lab.attach(node, { label: 'stays', conf });
  const goes = await lab.attach(node, { label: 'goes', conf });
  run('ip', ['netns', 'del', goes.netns]);
  // Passes about something else, all the time, must not put the second look off.
  harass(t, stays);
  await daemon.logged(/^repaired$/, (line) => String(line['repaired']).includes(`${goes.attach.containerId}, eth0 is gone and no DEL came: removed`));
  t.notOk(await hasEndpoint(node, goes));
  t.ok(await hasEndpoint(node, stays), 'the other one stays');
  await expectFree(t, scene, addressOf(goes));
  const late = await lab.detach(goes);
  t.match(late, { exitCode: 0 }, `a DEL that comes late: ${describeOutcome(late)}`);
}

async function leavesToDel(t: Test, datapath: DatapathName): Promise<void> {
  const scene = await createScene(t, datapath);
  const { lab, node, daemon, conf } = scene;
  const goes = await lab.attach(node, { label: 'goes', conf });
  const other = await lab.attach(node, { label: 'other', conf });
  const { passes } = (await daemon.status()).reconciler;
  run('ip', ['netns', 'del', goes.netns]);
  await daemon.eventually('sees that it is gone', async () => (await daemon.status()).reconciler.passes > passes);
  t.ok(await hasEndpoint(node, goes), 'the first observation changes nothing');
  const inTime = await lab.detach(goes);
  t.match(inTime, { exitCode: 0 }, describeOutcome(inTime));
  await expectFree(t, scene, addressOf(goes));
  t.same(daemon.linesOf(/^repaired$/), [], 'the daemon has done nothing of its own accord');
  t.ok(await hasEndpoint(node, other));
}

async function beginsAnew(t: Test, datapath: DatapathName): Promise<void> {
  const scene = await createScene(t, datapath);
  const { lab, node, daemon, conf } = scene;
  const stays = await lab.attach(node, { label: 'stays', conf });
  const goes = await lab.attach(node, { label: 'goes', conf });
  run('ip', ['netns', 'del', goes.netns]);
  await daemon.kill();
  const next = await Daemon.start(t, node);
  t.ok(await hasEndpoint(node, goes), 'to the new one it is a first observation');
  await next.logged(/^repaired$/, (line) => String(line['repaired']).includes(goes.attach.containerId));
  await expectFree(t, scene, addressOf(goes));
  t.ok(await hasEndpoint(node, stays));
}

async function outwaitsProcess(t: Test, datapath: DatapathName): Promise<void> {
  const scene = await createScene(t, datapath);
  const { lab, node, daemon, conf } = scene;
  const stays = await lab.attach(node, { label: 'stays', conf });
  const goes = await lab.attach(node, { label: 'goes', conf });
  const tenant = occupy(t, goes.netns);
  await tenant.isInside;
  await fullPass(daemon);
  // Lazily: the name goes, the namespace stays.
  run('ip', ['netns', 'del', goes.netns]);
  await fullPass(daemon);
  const vanishes = await lab.attach(node, { label: 'meter', conf });
  run('ip', ['netns', 'del', vanishes.netns]);
  await daemon.logged(/^repaired$/, (line) => String(line['repaired']).includes(vanishes.attach.containerId));
  t.ok(await hasEndpoint(node, goes), 'after ten seconds it is there');
  t.equal(await ping(stays.netns, addressOf(goes)), 1, 'and works');
  tenant.end();
  await daemon.logged(/^repaired$/, (line) => String(line['repaired']).includes(goes.attach.containerId));
  t.notOk(await hasEndpoint(node, goes), 'when the process has ended, it goes');
  await expectFree(t, scene, addressOf(goes));
}

const cases: readonly (readonly [string, (t: Test, datapath: DatapathName) => Promise<void>])[] = [
  ['its namespace is gone', collectsVanished],
  ['its DEL comes in time', leavesToDel],
  ['another daemon has started in between', beginsAnew],
  ['a process keeps its namespace alive', outwaitsProcess],
];

testEachDatapath('the address of a container that vanished is free again', async (t, datapath) => {
  t.jobs = cases.length;
  await Promise.all(cases.map(([what, fn]) => t.test(what, { buffered: true }, async (t) => fn(t, datapath))));
}, { skip });
