import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { closeSocket, errnoName, errnoText, int32, openSocket, SystemCallError, waitReadable } from './libc.ts';

const names: readonly (readonly [errno: number, name: string])[] = [
  [1, 'EPERM'], [2, 'ENOENT'], [11, 'EAGAIN'], [17, 'EEXIST'], [19, 'ENODEV'], [22, 'EINVAL'], [99, 'EADDRNOTAVAIL'], [101, 'ENETUNREACH'],
  // A full bridge's answer, and those that Node has no name or another name for.
  [54, 'EXFULL'], [95, 'EOPNOTSUPP'], [524, 'ENOTSUPP'],
];
for (const [errno, name] of names) t.equal(errnoName(errno), name);
t.equal(errnoName(12345), 'errno 12345', 'one that has no name');
t.equal(errnoText(17), 'File exists (EEXIST)');
t.match(errnoText(12345), /12345/);
t.same(int32(-2), Uint8Array.of(0xfe, 0xff, 0xff, 0xff));

const error = new SystemCallError('setns', 1);
t.match(error, { name: 'SystemCallError', errno: 1, code: 'EPERM', message: 'setns: Operation not permitted (EPERM)' });
t.throws(() => openSocket(-1, 3, 0), { name: 'SystemCallError', code: 'EAFNOSUPPORT', message: /^socket: / }, 'a failed call has its own errno');
t.throws(() => waitReadable(-1, 0) || openSocket(16, 3, 99), { name: 'SystemCallError', code: 'EPROTONOSUPPORT' });

t.test('a signal does not end a call that waits', async (t) => {
  let signals = 0;
  const count = (): void => void (signals += 1);
  process.on('SIGUSR2', count);
  const child = spawn('sh', ['-c', `echo ready; for _ in 1 2 3 4 5; do sleep 0.05; kill -USR2 ${process.pid}; done`], { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  const fd = openSocket(1, 2, 0);
  t.equal(waitReadable(fd, 500), false, 'and no error');
  await once(child, 'close');
  closeSocket(fd);
  process.off('SIGUSR2', count);
  t.ok(signals > 0, 'there were signals');
});
