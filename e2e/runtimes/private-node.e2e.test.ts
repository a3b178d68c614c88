/** The private node itself: what runs on it sees the test's files, and leaves nothing on the machine. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { CleanupStack } from '../harness/cleanup-stack.ts';
import { createLab } from '../harness/lab.ts';
import { launcherExecutable, weftExecutable } from '../harness/weft-executable.ts';
import { findCgroups } from './cgroups.ts';
import { createPrivateNode, skipWithoutRuntime } from './private-node.ts';

const skip = skipWithoutRuntime();

t.test('a private node has directories of its own', { skip }, async (t) => {
  const host = await createPrivateNode(t, createLab(t, { nodes: 1 }).node(1));
  t.same(host.run('ls', '/etc/cni/net.d', '/var/lib/weft', '/var/lib/containerd').match(/^[^/\s].*$/gm), null, 'nothing of the machine in them');
  t.equal(host.run('readlink', '/opt/cni/bin/weft').trim(), launcherExecutable);
  t.equal(host.run('readlink', '/usr/local/bin/weft').trim(), weftExecutable);
  t.match(host.run('ip', '-4', 'addr', 'show', 'eth0'), /inet 10\.200\.0\.11\/24 /, 'the interfaces are those of the node of the lab');
  t.match(host.run('env').trim().split('\n'), [/^PATH=/, /^HOME=/]);
  host.write('/etc/weft-private-node-test', 'text');
  t.equal(host.run('cat', '/etc/weft-private-node-test'), 'text');
  t.notOk(existsSync('/etc/weft-private-node-test'), 'what is written in it stays in it');
});

t.test('a private node leaves nothing behind', { skip }, async (t) => {
  const scope = new CleanupStack();
  const before = mounts();
  const host = await createPrivateNode(scope, createLab(scope, { nodes: 1 }).node(1));
  const daemon = host.start('setsid', 'sh', '-c', 'trap "" TERM HUP; mount -t tmpfs tmpfs /mnt; echo up; sleep 600');
  await daemon.heard(/up/);
  const name = host.nameNetns(scope, 1, 'first');
  t.ok(mounts().includes(`/run/netns/${name}`));
  for (const parent of findCgroupParents()) mkdirSync(`${parent}/${host.cgroup}/container`, { recursive: true });
  t.ok(findCgroups(host.cgroup).length > 0);
  await scope.run();
  t.equal(await daemon.ended, null, 'a daemon that ignores signals is ended');
  t.notOk(existsSync(`/proc/${host.pid}`));
  t.same(findCgroups(host.cgroup), []);
  t.equal(mounts(), before);
});

/** The machine's mounts that this process could have made. */
function mounts(): string {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.filter((line) => !line.includes('/run/netns/') || line.includes(`/wt${process.pid}-`)).join('\n');
}

/** The roots of the hierarchies: one of them is enough here. */
function findCgroupParents(): readonly string[] {
  return ['/sys/fs/cgroup/pids', '/sys/fs/cgroup'].filter((path) => existsSync(`${path}/cgroup.procs`)).slice(0, 1);
}
