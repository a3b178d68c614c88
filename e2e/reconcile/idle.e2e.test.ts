/** A daemon that has nothing to do does nothing: over ten seconds, with twenty containers of two tenants. */
import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { inNetns, run } from '../../pkg/testing/command.ts';
import { undoAtExit } from '../../pkg/testing/exit-cleanup.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { addressesUsable } from '../harness/container.ts';
import { createDaemonLabOf, type Daemon } from '../harness/daemon.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { netConf } from '../harness/net-conf.ts';
import { integrationBridge } from '../harness/node-switch.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { cpuMs, ledgerFiles } from './daemon-load.ts';
import { debugging, fullPass } from './full-pass.ts';

const skip = skipWithoutDaemonLab();

const containers = 20;
const idleMs = 10_000;
/** A percent of a processor; a garbage collection or two. */
const cpuMsMax = 100;
/** Longer than the daemon waits for a next call before it tidies the ledger. */
const quietMs = 2000;
const markDeadlineMs = 10_000;

/** What changes in a namespace, as a program of the system's tells it, line by line. */
class Listener {
  readonly lines: string[] = [];
  readonly #mark: (name: string) => void;

  constructor(scope: TeardownScope, command: readonly string[], mark: (name: string) => void) {
    this.#mark = mark;
    const child = spawn('ip', command, { stdio: ['ignore', 'pipe', 'ignore'] });
    const forget = undoAtExit(() => void child.kill('SIGKILL'));
    scope.teardown(() => {
      forget();
      child.kill('SIGKILL');
    });
    child.stdout.setEncoding('utf8').on('data', (text: string) => this.lines.push(...text.split('\n').filter((line) => line !== '')));
  }

  /** What was heard, but for its own changes. */
  get heard(): readonly string[] {
    return this.lines.filter((line) => !/\bmark\d+\b/.test(line) && !line.startsWith('# new generation'));
  }

  /** Makes changes of its own until they are heard: what happened before them has been heard as well. Then it forgets everything so far. */
  async drain(): Promise<readonly string[]> {
    const deadline = performance.now() + markDeadlineMs;
    for (let round = 1; !this.lines.some((line) => line.includes(`mark${round - 1}`)); round += 1) {
      if (performance.now() > deadline) throw new Error('the listener hears nothing');
      this.#mark(`mark${round}`);
      await delay(50);
    }
    return this.lines.splice(0);
  }
}

/** Waits for what is still on its way: duplicate address detection of the node's own, and the ledger's writing in its own time after the last call. */
async function settle(daemon: Daemon): Promise<void> {
  await addressesUsable(daemon.node.netns, 'eth0');
  await daemon.eventually('has written what was to be written', async () => {
    const before = JSON.stringify(ledgerFiles(daemon));
    await delay(quietMs);
    return JSON.stringify(ledgerFiles(daemon)) === before;
  });
}

/** What tells that somebody wrote to the switch: a count of its database, and flows that are younger than this test's idleness. */
function writesOn(node: LabNode): unknown {
  if (node.datapath === 'bridge') return [];
  const ages = [...node.openVSwitch.ofctl('dump-flows', integrationBridge).matchAll(/duration=([\d.]+)s/g)].map(([, seconds]) => Number(seconds) * 1000);
  return { changes: node.openVSwitch.vsctl('get', 'Open_vSwitch', '.', 'next_cfg').trim(), flows: ages.length, young: ages.filter((age) => age < quietMs).length };
}

testEachDatapath('nothing is written, nothing is changed, and no processor time is used', async (t, datapath) => {
  const { lab, daemons } = await createDaemonLabOf(t, [datapath], { daemon: debugging });
  const [node, daemon] = [lab.node(1), daemons[0]];
  if (daemon === undefined) throw new Error('the lab has no daemon');
  const confOf = (name: string, vni: number, isGateway: boolean): ReturnType<typeof netConf> =>
    netConf({ name, vni, vtep: node.ipv4, peers: ['10.200.0.2'], ranges: [[{ subnet: '10.1.1.0/24' }]], extra: { isGateway } });
  const confs = [confOf('blue', 1001, true), confOf('red', 1002, false)];
  await Promise.all(Array.from({ length: containers }, (_, index) => lab.attach(node, { label: `idle-${index}`, conf: confs[index % confs.length] ?? {} })));
  await fullPass(daemon);

  const listeners = [
    new Listener(t, ['-o', '-n', node.netns, 'monitor', 'link', 'address', 'route'], (name) => { run('ip', ['-n', node.netns, 'link', 'add', name, 'type', 'ifb']); run('ip', ['-n', node.netns, 'link', 'del', name]); }),
    new Listener(t, inNetns(node.netns, 'nft', 'monitor'), (name) => void run('ip', inNetns(node.netns, 'nft', `add table inet ${name}; delete table inet ${name}`))),
  ];
  for (const listener of listeners) t.ok((await listener.drain()).length > 0, 'the listener hears changes');
  await settle(daemon);
  for (const listener of listeners) await listener.drain();

  const before = { files: ledgerFiles(daemon), onSwitch: writesOn(node), cpu: cpuMs(daemon), lines: daemon.log.length };
  // Idleness has no event to wait for.
  await delay(idleMs);
  const cpu = cpuMs(daemon) - before.cpu;
  t.same(listeners.flatMap(({ heard }) => heard), [], 'nothing changes in the kernel');
  t.same(ledgerFiles(daemon), before.files, 'nothing is written');
  t.same(writesOn(node), before.onSwitch, 'nor on the switch');
  t.same(daemon.log.slice(before.lines), [], 'nothing is looked at, and nothing is said');
  t.ok(cpu < cpuMsMax, `processor time: ${cpu} ms`);
  t.comment(`with ${containers} containers, processor time in ${idleMs / 1000} s: ${cpu} ms`);

  await fullPass(daemon);
  t.same(listeners.flatMap(({ heard }) => heard), [], 'a pass over the whole node changes nothing either');
  t.same(ledgerFiles(daemon), before.files, 'and writes nothing');
  t.same(writesOn(node), before.onSwitch, 'nor on the switch');
  t.same(daemon.linesOf(/^repaired$/), []);
}, { skip, timeout: 120_000 });
