import { closeSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { run } from '../testing/command.ts';
import { temporaryDirectory } from '../testing/directory.ts';
import { createNetns, netnsPath, type TeardownScope } from '../testing/netns.ts';
import { skipUnless } from '../testing/requirements.ts';
import { findNetnsId, insideNetns, netnsId, openNetns, ownNetns } from './netns.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'sh'] });

/** A descriptor of a namespace, closed with the test. */
function open(scope: TeardownScope, path: string): number {
  const fd = openSync(path, 'r');
  scope.teardown(() => closeSync(fd));
  return fd;
}

void t.test('openNetns() refuses what is no namespace of a container', { skip }, async (t) => {
  const directory = temporaryDirectory(t);
  const file = join(directory, 'file');
  writeFileSync(file, '');
  symlinkSync(ownNetns, join(directory, 'own'));
  const rows: readonly (readonly [path: string, message: string])[] = [
    [file, `CNI_NETNS must be a network namespace: ${file} is an ordinary file`],
    [directory, `CNI_NETNS must be a network namespace: ${directory} is an ordinary file`],
    ['/proc/self/status', 'CNI_NETNS must be a network namespace: /proc/self/status is an ordinary file'],
    ['/proc/self/ns/uts', 'CNI_NETNS must be a network namespace: /proc/self/ns/uts is a namespace of another type'],
    ['/proc/self/ns/mnt', 'CNI_NETNS must be a network namespace: /proc/self/ns/mnt is a namespace of another type'],
    ['/nowhere/at/all', 'CNI_NETNS must be a network namespace that exists: cannot open /nowhere/at/all'],
    [`${file}/below`, `CNI_NETNS must be a network namespace that exists: cannot open ${file}/below`],
    ['', 'CNI_NETNS must be a network namespace that exists: cannot open '],
    [ownNetns, `CNI_NETNS must be the container's network namespace: ${ownNetns} is the host's own`],
    [`/proc/${process.pid}/ns/net`, `CNI_NETNS must be the container's network namespace: /proc/${process.pid}/ns/net is the host's own`],
    [join(directory, 'own'), `CNI_NETNS must be the container's network namespace: ${join(directory, 'own')} is the host's own`],
  ];
  for (const [path, message] of rows) t.throws(() => closeSync(openNetns(path)), { code: 'invalidEnvironment', cniCode: 4, message: new RegExp(`^${RegExp.escape(message)}$`) }, path);
});

void t.test('openNetns() opens a namespace by any path to it', { skip }, async (t) => {
  const netns = createNetns(t);
  const link = join(temporaryDirectory(t), 'link');
  symlinkSync(netnsPath(netns), link);
  for (const path of [netnsPath(netns), link]) {
    const fd = openNetns(path);
    t.equal(netnsId(`/proc/self/fd/${fd}`), netnsId(netnsPath(netns)), path);
    closeSync(fd);
  }
});

void t.test('insideNetns() works inside and comes home', { skip }, async (t) => {
  const [outer, inner] = [createNetns(t, 'outer'), createNetns(t, 'inner')];
  const [outerFd, innerFd] = [open(t, netnsPath(outer)), open(t, netnsPath(inner))];
  const home = netnsId(ownNetns);
  const here = (): string => netnsId(ownNetns);
  t.equal(insideNetns(outerFd, here), netnsId(netnsPath(outer)), 'what it returns is the function’s');
  t.equal(here(), home);
  t.throws(() => insideNetns(outerFd, () => {
    throw new Error('thrown inside');
  }), { message: 'thrown inside' });
  t.equal(here(), home, 'after a throw too');
  const seen = insideNetns(outerFd, () => [here(), insideNetns(innerFd, here), here()]);
  t.same(seen, [outer, inner, outer].map((name) => netnsId(netnsPath(name))), 'one inside the other');
  t.equal(here(), home);
  t.throws(() => insideNetns(-1, () => t.fail('it was entered')), { name: 'SystemCallError', code: 'EBADF' });
  t.throws(() => insideNetns(open(t, '/proc/self/ns/uts'), () => t.fail('it was entered')), { name: 'SystemCallError', code: 'EINVAL' });
  t.equal(here(), home);
});

void t.test('insideNetns() and openNetns() leave no descriptor behind', { skip }, async (t) => {
  const netns = createNetns(t);
  const fd = open(t, netnsPath(netns));
  const count = (): number => Number(run('sh', ['-c', `ls /proc/${process.pid}/fd | wc -l`]));
  const before = count();
  for (let round = 0; round < 20; round += 1) {
    insideNetns(fd, () => undefined);
    t.throws(() => insideNetns(fd, () => {
      throw new Error('thrown inside');
    }));
    for (const path of [ownNetns, '/proc/self/ns/uts', '/proc/self/status']) t.throws(() => openNetns(path));
  }
  // Pipes of children that have ended may be closed meanwhile.
  t.ok(count() <= before, 'none more');
});

void t.test('netnsId() and findNetnsId() name the namespace, not the path', { skip }, async (t) => {
  const [one, two] = [createNetns(t, 'one'), createNetns(t, 'two')];
  t.equal(netnsId(netnsPath(one)), insideNetns(open(t, netnsPath(one)), () => netnsId(ownNetns)));
  t.not(netnsId(netnsPath(one)), netnsId(netnsPath(two)));
  t.equal(findNetnsId(netnsPath(one)), netnsId(netnsPath(one)));
  t.equal(findNetnsId('/nowhere/at/all'), undefined);
  const unmounted = join(temporaryDirectory(t), 'unmounted');
  writeFileSync(unmounted, '');
  t.equal(findNetnsId(unmounted), undefined, 'the plain file that an unmounted namespace leaves');
  t.throws(() => netnsId('/nowhere/at/all'), { code: 'ENOENT' });
});
