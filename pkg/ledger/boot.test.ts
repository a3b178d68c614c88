import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { execPath, pid } from 'node:process';
import t from 'tap';
import { currentWorker, isWorkerAlive, parseProcessStat, readBootId } from './boot.ts';

/** Fields 4 to 21 of /proc/pid/stat; the start time comes next. */
const between = '1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18';

t.test('parseProcessStat() is not fooled by the name of the command', async (t) => {
  for (const name of ['node', 'a b', 'a) R 1', ') ) )', '(((', 'a\nb', '']) {
    t.strictSame(parseProcessStat(`123 (${name}) S ${between} 4567 0 0\n`), { state: 'S', startTime: '4567' }, JSON.stringify(name));
  }
});

t.test('parseProcessStat() refuses what is no such line', async (t) => {
  for (const line of ['', '123', '123 (node)', '123 (node) S', `123 node S ${between} 4567`, `1 (a) S ${between} -5`, `1 (a) S ${between} x`, `1 (a) SS ${between} 5`]) {
    t.throws(() => parseProcessStat(line), SyntaxError, JSON.stringify(line));
  }
});

t.test('this process is alive, under its own start time only', async (t) => {
  const worker = currentWorker();
  t.equal(worker.pid, pid);
  t.equal(isWorkerAlive(worker), true);
  t.equal(isWorkerAlive({ ...worker, startTime: `${BigInt(worker.startTime) - 1n}` }), false, 'a later process with the same pid');
});

t.test('a process that has ended is not alive', async (t) => {
  const { pid: endedPid } = spawnSync(execPath, ['--version']);
  t.equal(isWorkerAlive({ pid: endedPid, startTime: '1' }), false);
});

t.test('a zombie is not alive', async (t) => {
  // The shell's child ends at once; the shell has become a sleep, which never waits for it.
  const parent = spawn('sh', ['-c', 'sh -c "echo \\$\\$" & exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] });
  t.teardown(() => parent.kill('SIGKILL'));
  const [line] = await once(parent.stdout, 'data');
  const zombiePid = Number(String(line));
  let stat = parseProcessStat(readFileSync(`/proc/${zombiePid}/stat`, 'latin1'));
  while (stat.state !== 'Z') stat = parseProcessStat(readFileSync(`/proc/${zombiePid}/stat`, 'latin1'));
  t.equal(isWorkerAlive({ pid: zombiePid, startTime: stat.startTime }), false);
});

t.test('readBootId() is the kernel\'s, without a line end', async (t) => {
  t.match(readBootId(), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  t.equal(readBootId(), readBootId());
  t.throws(() => readBootId('/nonexistent/boot_id'), { code: 'ioFailure', message: /\/nonexistent\/boot_id/ });
});
