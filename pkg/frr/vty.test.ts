import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { temporaryDirectory } from '../testing/directory.ts';
import { FrrError, isFrrError, withoutPassword } from './frr-error.ts';
import { openVty, type Vty } from './vty.ts';

type Scope = Parameters<typeof temporaryDirectory>[0];

interface FakeDaemon {
  readonly runDirectory: string;
  readonly commands: string[];
  readonly lost: FrrError[];
  readonly vty: Vty;
  readonly sockets: Socket[];
}

/** Answers commands as told: text and status, or undefined for never. */
async function withDaemon(scope: Scope, answer: (command: string) => string | undefined): Promise<FakeDaemon> {
  const runDirectory = temporaryDirectory(scope);
  const commands: string[] = [];
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined).on('data', (bytes) => {
      for (const command of bytes.toString().split('\0').slice(0, -1)) {
        commands.push(command);
        const text = command === 'enable' ? '\0\0\0\0' : answer(command);
        if (text !== undefined) socket.write(text, 'latin1');
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(join(runDirectory, 'bgpd.vty'), resolve));
  scope.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const lost: FrrError[] = [];
  const vty = await openVty({ daemon: 'bgpd', runDirectory, onLost: (reason) => lost.push(reason) }, soon);
  scope.teardown(() => vty.close());
  return { runDirectory, commands, lost, vty, sockets };
}

const soon = { deadlineMs: 5000 };
const echo = (command: string): string => `${command}!\0\0\0\0`;

t.test('commands are answered in their order, one at a time', async (t) => {
  const { vty, commands } = await withDaemon(t, echo);
  t.same(await Promise.all(['a', 'b', 'c'].map((command) => vty.ask(command, soon))), ['a!', 'b!', 'c!']);
  await Promise.all([vty.ask('before', soon), vty.configure(['router bgp 1', 'no foo'], soon), vty.ask('after', soon)]);
  t.same(commands, ['enable', 'a', 'b', 'c', 'before', 'configure terminal', 'router bgp 1', 'no foo', 'end', 'after']);
  await vty.configure([], soon);
  t.equal(commands.length, 10, 'nothing to configure is not asked');
});

t.test('a refused line is told in the words of the daemon, and the configuration is left', async (t) => {
  const { vty, commands, lost } = await withDaemon(t, (command) => (command.startsWith('bad') ? `% Unknown command: ${command}\n\0\0\0\x02` : echo(command)));
  await t.rejects(vty.ask('bad idea', soon), { name: 'WeftError', code: 'ioFailure', kind: 'refused', message: 'bgpd of FRR refused "bad idea": % Unknown command: bad idea' });
  await t.rejects(vty.configure(['a', 'bad line', 'never sent'], soon), { kind: 'refused', message: /refused "bad line"/ });
  t.same(commands.slice(2), ['configure terminal', 'a', 'bad line', 'end']);
  t.equal(await vty.ask('next', soon), 'next!');
  t.same(lost, []);
});

t.test('a password stands in no message', async (t) => {
  const { vty } = await withDaemon(t, (command) => (command.includes('hang') ? undefined : `% Unknown command: ${command}\n\0\0\0\x02`));
  const line = 'neighbor 192.0.2.2 password hunter2';
  const refused = await vty.ask(line, soon).catch((error: unknown) => error);
  t.ok(isFrrError(refused, 'refused') && refused.message === 'bgpd of FRR refused "neighbor 192.0.2.2 password …": % Unknown command: neighbor 192.0.2.2 password …', String(refused));
  const late = await vty.ask('hang password hunter2', { deadlineMs: 20 }).catch((error: unknown) => error);
  t.ok(isFrrError(late, 'late') && !late.message.includes('hunter2'));
  t.equal(withoutPassword(`a\n ${line}\n neighbor x password ab"c|d\nb`), 'a\n neighbor 192.0.2.2 password …\n neighbor x password …\nb');
});

t.test('a late answer ends the connection, for it would be taken for the next one', async (t) => {
  const { vty, commands, lost } = await withDaemon(t, (command) => (command === 'slow' ? undefined : echo(command)));
  const [slow, behind] = await Promise.allSettled([vty.ask('slow', { deadlineMs: 100 }), vty.ask('behind', soon)]);
  t.match(slow, { status: 'rejected', reason: { kind: 'late', code: 'tryAgainLater', message: 'bgpd of FRR did not answer "slow" within 100 ms' } });
  t.match(behind, { status: 'rejected', reason: { kind: 'late' } });
  t.notOk(vty.isOpen);
  t.match(lost, [{ kind: 'late' }]);
  t.same(commands, ['enable', 'slow']);
  await t.rejects(vty.ask('more', soon), { kind: 'notRunning', message: /^Cannot ask bgpd of FRR: bgpd of FRR did not answer/ });
});

t.test('who waits too long for his turn is told, and the connection stays', async (t) => {
  let free: (() => void) | undefined;
  const { vty, commands, sockets } = await withDaemon(t, (command) => {
    if (command !== 'first') return echo(command);
    free = () => sockets[0]?.write('done\0\0\0\0');
    return undefined;
  });
  const first = vty.ask('first', soon);
  await t.rejects(vty.ask('second', { deadlineMs: 20 }), { kind: 'late', message: /did not answer "second"/ });
  t.ok(vty.isOpen);
  free?.();
  t.equal(await first, 'done');
  t.equal(await vty.ask('third', soon), 'third!');
  t.same(commands, ['enable', 'first', 'third']);
});

t.test('the end of the daemon is told at once, and once', async (t) => {
  const { vty, lost, sockets } = await withDaemon(t, () => undefined);
  const open = vty.ask('a', soon);
  sockets[0]?.end();
  await t.rejects(open, { kind: 'lost', code: 'tryAgainLater', message: 'bgpd of FRR has ended its connection' });
  t.match(lost, [{ kind: 'lost' }]);
  vty.close();
  t.equal(lost.length, 1);
});

t.test('its own end is no loss', async (t) => {
  const { vty, lost } = await withDaemon(t, () => undefined);
  const open = vty.ask('a', soon);
  vty.close();
  vty.close();
  await t.rejects(open, { kind: 'lost', message: 'The connection to bgpd of FRR was closed' });
  t.same(lost, []);
});

t.test('what is no answer ends the connection', async (t) => {
  for (const text of ['a\0b\0\0', 'a\0\0\0\0b']) {
    const { vty, lost } = await withDaemon(t, () => text);
    await t.rejects(vty.ask('a', soon), { name: 'WeftError', kind: 'garbled' }, JSON.stringify(text));
    t.match(lost, [{ kind: 'garbled' }]);
  }
  const { vty, sockets } = await withDaemon(t, echo);
  const ended = new Promise((resolve) => sockets[0]?.on('close', resolve));
  sockets[0]?.write('unasked\0\0\0\0');
  await ended;
  t.notOk(vty.isOpen, 'an answer that nobody asked for');
});

t.test('a command is one line', async (t) => {
  const { vty, commands } = await withDaemon(t, echo);
  for (const command of ['', 'a\nb', 'a\0b', 'a\rb', 'x'.repeat(4096)]) await t.rejects(vty.ask(command, soon), TypeError);
  await t.rejects(vty.configure(['a', 'b\nc'], soon), TypeError);
  t.same(commands, ['enable']);
  t.equal((await vty.ask('x'.repeat(4095), soon)).length, 4096);
});

t.test('where nobody listens', async (t) => {
  const runDirectory = temporaryDirectory(t);
  const lost: FrrError[] = [];
  const open = openVty({ daemon: 'zebra', runDirectory, onLost: (reason) => lost.push(reason) }, soon);
  await t.rejects(open, { code: 'tryAgainLater', kind: 'notRunning', message: `zebra of FRR does not run: nobody listens at ${runDirectory}/zebra.vty`, details: /zebra=yes in \/etc\/frr\/daemons/ });
  t.same(lost, [], 'what never stood is not lost');
});
