/** What `weft tune` shows, beside what the system's own tools show; and what it changes, which is what it was told to and no more. */
import { spawnSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { inNetns, run, runIn } from '../../pkg/testing/command.ts';
import { runWeft } from '../command-line/run-weft.ts';
import { createLab } from '../harness/lab.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { attachGuest, blue } from '../harness/tenant.ts';
import { skipWithoutLab, weftExecutable } from '../harness/weft-executable.ts';

const skip = skipWithoutLab('ethtool', 'sysctl');

interface Item {
  readonly id: string;
  readonly state: 'good' | 'differs' | 'not-offered' | 'free';
  readonly present: string | null;
  readonly recommended: string | null;
  readonly why: string;
  readonly show: string;
  readonly command: string | null;
}

interface Applied {
  readonly id: string;
  readonly before: string | null;
  readonly after: string | null;
  readonly outcome: string;
  readonly problem: string | null;
  readonly back: string | null;
}

/** What ethtool(8) calls otherwise than the kernel does. */
const ethtoolNames: Readonly<Record<string, string>> = { 'rx-gro': 'generic-receive-offload', 'rx-checksum': 'rx-checksumming' };

async function itemsOf(node: LabNode): Promise<readonly Item[]> {
  const { exitCode, stdout, stderr } = await runWeft(node, ['tune', '-o', 'json']);
  if (exitCode !== 0 || stderr !== '') throw new Error(`exit status ${exitCode}: ${stderr}`);
  return (JSON.parse(stdout) as { readonly items: readonly Item[] }).items;
}

async function apply(node: LabNode, ...args: readonly string[]): Promise<{ readonly exitCode: number; readonly applied: readonly Applied[] }> {
  const { exitCode, stdout } = await runWeft(node, ['tune', '-o', 'json', ...args]);
  return { exitCode, applied: (JSON.parse(stdout) as { readonly applied: readonly Applied[] }).applied };
}

/** The value by a tool that is not weft; undefined where it knows none. */
function readByTool({ netns }: LabNode, id: string): string | undefined {
  if (id.startsWith('net.')) return tryRun(netns, 'sysctl', '-n', id)?.trim().split(/\s+/).join(' ');
  const [link = '', name = '', file] = id.split('/');
  if (file === 'rps_cpus') return runIn(netns, 'cat', `/sys/class/net/${link}/queues/${name}/rps_cpus`).trim();
  if (name === 'txqueuelen') return /txqueuelen (\d+)|qlen (\d+)/.exec(run('ip', ['-n', netns, 'link', 'show', 'dev', link]))?.slice(1).find((found) => found !== undefined);
  if (name.endsWith('-ring')) return tryRun(netns, 'ethtool', '-g', link);
  return new RegExp(`^\\t?${ethtoolNames[name] ?? name}: (on|off)`, 'm').exec(runIn(netns, 'ethtool', '-k', link))?.[1];
}

function tryRun(netns: string, ...command: readonly string[]): string | undefined {
  const { status, stdout } = spawnSync('ip', inNetns(netns, ...command), { encoding: 'utf8' });
  return status === 0 ? stdout : undefined;
}

/** Everything of the node that could be tuned, whether weft knows of it or not. */
function describe({ netns }: LabNode): readonly string[] {
  const sysctls = runIn(netns, 'sh', '-c', 'sysctl -a 2>/dev/null | grep ^net | grep -v -e nf_conntrack_count -e "stable_secret" -e "tcp_fastopen_key"');
  const steering = runIn(netns, 'sh', '-c', 'for file in /sys/class/net/*/queues/rx-*/rps_* /sys/class/net/*/queues/tx-*/xps_cpus; do echo "$file $(cat $file 2>/dev/null)"; done');
  return [sysctls, steering, runIn(netns, 'ethtool', '-k', 'eth0'), run('ip', ['-n', netns, 'link', 'show'])].flatMap((text) => text.split('\n'));
}

/** Lines of one description that the other has not, both ways. */
function difference(before: readonly string[], after: readonly string[]): readonly string[] {
  return [...before.filter((line) => !after.includes(line)).map((line) => `- ${line.trim()}`), ...after.filter((line) => !before.includes(line)).map((line) => `+ ${line.trim()}`)];
}

t.test('weft tune on a node', { skip, timeout: 90_000 }, async (t) => {
  const lab = createLab(t, { nodes: 2 });
  const node = lab.node(1);
  await attachGuest(lab, blue, 1, { label: 'blue1' });
  await lab.settle();
  // The kernel says a moment later that the bridge has a carrier: no change of tune's.
  for (let look = 0; look < 100 && !runIn(lab.node(1).netns, 'ip', 'link', 'show', 'weft-br1001').includes('state UP'); look += 1) await delay(100);
  runIn(node.netns, 'ethtool', '-K', 'eth0', 'tx-udp_tnl-segmentation', 'off');

  await t.test('shows what other tools show', async (t) => {
    const before = describe(node);
    const items = await itemsOf(node);
    for (const { id, present, show } of items) t.equal(readByTool(node, id), present ?? undefined, `${id} is ${present ?? 'not there'}: \`${show}\``);
    t.ok(items.every(({ why }) => why.length > 20), 'each with a reason');
    t.match(items.find(({ id }) => id === 'eth0/tx-udp_tnl-segmentation'), { state: 'differs', present: 'off', recommended: 'on', command: 'ethtool -K eth0 tx-udp_tnl-segmentation on' });
    t.match(items.find(({ id }) => id === 'eth0/rx-ring'), { state: 'not-offered', present: null });
    const { stdout } = await runWeft(node, ['tune']);
    t.match(stdout, /^eth0\/rx-ring +- +- +not offered$/m);
    t.match((await runWeft(node, ['tune', '--print-config'])).stdout, /^net\.ipv4\.fib_multipath_hash_policy = 1$/m);
    t.same((await apply(node, '--dry-run')).applied.map(({ outcome }) => outcome).filter((outcome) => outcome !== 'would-apply'), []);
    t.same(difference(before, describe(node)), [], 'and changes nothing');
  });

  for (const [id, expected] of changes) await t.test(`applies ${id} and nothing else`, (t) => applyOne(t, node, { id, expected }));
  await t.test('what is refused', (t) => refusals(t, node));
});

/** What the tools must then show otherwise. */
const changes: readonly (readonly [id: string, expected: readonly string[]])[] = [
  ['net.ipv4.fib_multipath_hash_policy', ['- net.ipv4.fib_multipath_hash_policy = 0', '+ net.ipv4.fib_multipath_hash_policy = 1']],
  ['eth0/tx-udp_tnl-segmentation', ['- tx-udp_tnl-segmentation: off', '+ tx-udp_tnl-segmentation: on']],
];

async function applyOne(t: Test, node: LabNode, { id, expected }: { readonly id: string; readonly expected: readonly string[] }): Promise<void> {
  const [before, items] = [describe(node), await itemsOf(node)];
  const { exitCode, applied } = await apply(node, '--apply', id);
  t.equal(exitCode, 0);
  t.match(applied, [{ id, outcome: 'applied', problem: null, back: /./ }]);
  t.same(difference(before, describe(node)), expected);
  const after = await itemsOf(node);
  t.same(after.filter((item) => item.id !== id), items.filter((item) => item.id !== id), 'all other items are as they were');
  t.match(after.find((item) => item.id === id), { state: 'good', present: applied[0]?.after });
  t.match((await apply(node, '--apply', id)).applied, [{ id, outcome: 'unchanged', back: null }], 'a second time there is nothing to do');
  runIn(node.netns, 'sh', '-c', applied[0]?.back ?? 'false');
  t.same(difference(before, describe(node)), [], `\`${applied[0]?.back}\` goes back`);
}

async function refusals(t: Test, node: LabNode): Promise<void> {
  const before = describe(node);
  const unknown = await runWeft(node, ['tune', '--apply', 'eth0/rx-gro', 'eth0/warp']);
  t.match(unknown, { exitCode: 2, stdout: '', stderr: 'weft: an item must be one that weft tune shows: current value is "eth0/warp"\n' });
  t.match(await apply(node, '--apply', 'eth0/rx-ring'), { exitCode: 1, applied: [{ outcome: 'refused', problem: 'not offered by the device or the kernel' }] });
  t.match(await runWeft(node, ['tune', '--link', 'eth7']), { exitCode: 1, stderr: 'weft: --link must be an interface of this node: there is no eth7\n' });
  t.equal((await runWeft(node, ['tune', '--apply', '--dry-run'])).exitCode, 2, 'both at once');
  // In a mount namespace of its own the kernel's files are read-only.
  const command = ['sh', '-eu', '-c', 'mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys; exec "$@"', 'sh', weftExecutable, 'tune', '-o', 'json', '--apply', 'net.ipv6.fib_multipath_hash_policy'];
  const { status, stdout } = spawnSync('ip', inNetns(node.netns, ...command), { env: { ...node.env }, encoding: 'utf8', timeout: 30_000 });
  t.equal(status, 1);
  t.match(JSON.parse(stdout), { applied: [{ outcome: 'refused', before: '0', after: '0', problem: /EROFS/, back: null }] });
  t.same(difference(before, describe(node)), [], 'nothing is changed by all of it');
}
