/** Plugins that are killed in the middle of an ADD, beside a daemon or before one: what they leave goes with the next pass over the node. */
import { spawn } from 'node:child_process';
import type { Test } from 'tap';
import { inNetns } from '../../pkg/testing/command.ts';
import { randomFrom, testSeed, type RandomSource } from '../../pkg/testing/random.ts';
import { readLinks } from '../../pkg/testing/observe.ts';
import { readEndpoints } from '../daemon/scene.ts';
import { ping } from '../harness/container.ts';
import { createDaemonLabOf, Daemon } from '../harness/daemon.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { attachEnv, type Attach, type LabNode } from '../harness/lab-node.ts';
import type { Lab } from '../harness/lab.ts';
import { netConf, type NetConf } from '../harness/net-conf.ts';
import { readSwitch } from '../harness/node-switch.ts';
import { skipWithoutDaemonLab, weftExecutable } from '../harness/weft-executable.ts';
import { debugging, fullPass } from './full-pass.ts';

const skip = skipWithoutDaemonLab();

const kills = 25;
/** Fewer addresses than ADDs: what a killed one keeps is missed. */
const addresses = 8;

interface Killed {
  readonly attach: Attach & { readonly netns: string };
  /** Whether the plugin had ended by itself before. */
  readonly isDone: boolean;
}

/** Calls the plugin, past launcher and daemon, and kills it after so many milliseconds. */
async function addAndKill(node: LabNode, attach: Killed['attach'], ms: number): Promise<Killed> {
  const child = spawn('ip', inNetns(node.netns, weftExecutable), { env: { ...node.env, ...attachEnv('ADD', attach) }, stdio: ['pipe', 'ignore', 'ignore'] });
  child.stdin.on('error', () => undefined);
  child.stdin.end(JSON.stringify(attach.conf));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const timer = setTimeout(() => child.kill('SIGKILL'), ms);
  const status = await ended;
  clearTimeout(timer);
  return { attach, isDone: status === 0 };
}

/** How long an ADD of the plugin takes here and now. */
async function measureAdd(lab: Lab, node: LabNode, conf: NetConf): Promise<number> {
  const attach = { conf, containerId: 'measured', netns: lab.container('measured') };
  const startedAt = performance.now();
  await addAndKill(node, attach, 60_000);
  const ms = performance.now() - startedAt;
  await node.del(attach);
  return ms;
}

interface Scene {
  readonly lab: Lab;
  readonly node: LabNode;
  readonly conf: NetConf;
  readonly random: RandomSource;
}

/** Kills at random moments of ADDs, in rounds of as many as there are addresses; `clean` removes what is left behind each. */
async function killMany(t: Test, { lab, node, conf, random }: Scene, clean: () => Promise<void>): Promise<void> {
  const usualMs = await measureAdd(lab, node, conf);
  const counts = { done: 0, halfway: 0, rows: 0, links: 0 };
  for (let done = 0; done < kills; done += addresses) {
    const killed: Killed[] = [];
    for (let n = done; n < Math.min(kills, done + addresses); n += 1) {
      const attach = { conf, containerId: `killed-${n}`, netns: lab.container('killed') };
      // The first part is the program's start.
      killed.push(await addAndKill(node, attach, usualMs * (0.3 + random(1000) / 1300)));
    }
    const before = await readEndpoints(node);
    counts.rows += before.filter(({ state }) => state !== 'attached').length;
    counts.links += portsOf(node).length;
    counts.done += killed.filter(({ isDone }) => isDone).length;
    await clean();
    const endpoints = await readEndpoints(node);
    t.same(endpoints.filter(({ state }) => state !== 'attached'), [], 'no call is halfway');
    t.equal(portsOf(node).length, endpoints.length, 'a host interface for each endpoint, and none besides');
    if (node.datapath === 'ovs') t.same(readSwitch(node.openVSwitch).ports.filter((name) => name.startsWith('weft-p')), portsOf(node), 'which are the ports of the switch');
    for (const { attach, isDone } of killed) {
      if (isDone) t.ok(endpoints.some(({ containerId }) => containerId === attach.containerId), 'what was finished stays');
      t.match(await node.del(attach), { exitCode: 0 });
    }
  }
  t.comment(`of ${kills} ADDs of some ${Math.round(usualMs)} ms ${counts.done} ended by themselves; ${counts.rows} left a row that is not finished, ${counts.links} host interfaces were there`);
}

function portsOf({ netns }: LabNode): readonly string[] {
  return readLinks(netns).map(({ ifname }) => ifname).filter((name) => name.startsWith('weft-p')).sort();
}

function createScene(lab: Lab, seed: number): Scene {
  const node = lab.node(1);
  const ranges = [[{ subnet: '10.1.1.0/24', rangeStart: '10.1.1.10', rangeEnd: `10.1.1.${10 + addresses}` }]];
  const extra = { isGateway: true, runtimeConfig: { bandwidth: { ingressRate: 8_000_000, ingressBurst: 800_000, egressRate: 8_000_000, egressBurst: 800_000 } }, capabilities: { bandwidth: true } };
  return { lab, node, conf: netConf({ name: 'blue', vni: 1001, vtep: node.ipv4, peers: ['10.200.0.2'], ranges, extra }), random: randomFrom(seed) };
}

testEachDatapath('beside a daemon', async (t, datapath) => {
  const { lab, daemons } = await createDaemonLabOf(t, [datapath], { daemon: debugging });
  const daemon = daemons[0];
  if (daemon === undefined) throw new Error('the lab has no daemon');
  const seed = testSeed();
  t.comment(`WEFT_TEST_SEED=${seed}`);
  const scene = createScene(lab, seed);
  const before = scene.node.snapshot();
  await killMany(t, scene, () => fullPass(daemon));
  await fullPass(daemon);
  t.same(scene.node.snapshot(), before, 'nothing is left');
  const resident = await lab.attach(scene.node, { label: 'resident', conf: scene.conf });
  t.equal(await ping(resident.netns, '10.1.1.1'), 1, 'the daemon does calls');
  t.same(daemon.log.filter(({ level }) => level === 'error'), []);
}, { skip, timeout: 120_000 });

testEachDatapath('before a daemon starts', async (t, datapath) => {
  const { lab, daemons } = await createDaemonLabOf(t, [datapath], { daemon: debugging });
  const seed = testSeed();
  t.comment(`WEFT_TEST_SEED=${seed}`);
  await daemons[0]?.stop();
  const scene = createScene(lab, seed);
  const before = scene.node.snapshot();
  await killMany(t, scene, async () => {
    const daemon = await Daemon.start(t, scene.node, debugging);
    t.equal(await daemon.stop(), 0);
  });
  const daemon = await Daemon.start(t, scene.node, debugging);
  t.same(scene.node.snapshot(), before, 'nothing is left');
  t.same(daemon.log.filter(({ level }) => level === 'error'), []);
}, { skip, timeout: 120_000 });
