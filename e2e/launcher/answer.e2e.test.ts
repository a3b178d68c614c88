/** What comes back from a daemon, and what the launcher makes of one that errs, ends or hangs. */
import { chownSync, chmodSync, openSync, readFileSync, closeSync } from 'node:fs';
import { spawn, type ChildProcess } from 'node:child_process';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { accepted, answered, answering, elsewhere, ended, frame, sending, sendingAndHanging, startFakeDaemon, type Behaviour } from './fake-daemon.ts';
import { conf, createPlace, describe, doneByWeft, environmentOf, errorOf, launch, launcherExecutable, pendingDels, skipLauncher as skip, skipLauncherUnlessRoot } from './launch.ts';

const mib = 1024 * 1024;
const nobody = 65534;
t.setTimeout(90_000);

t.test('answers', { skip }, async (t) => {
  const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
  const rows: readonly (readonly [number, string | Buffer])[] = [
    [0, ''], [0, '{"cniVersion":"1.0.0"}\n'], [1, '{"code":7}\n'], [2, ''], [255, 'x'], [0, everyByte], [0, Buffer.alloc(5 * mib, 'result ')], [1, Buffer.alloc(8 * mib, 'error ')],
  ];
  for (const [status, body] of rows) {
    const place = createPlace(t);
    await startFakeDaemon(t, place.runDirectory, answering(status, body));
    const outcome = await launch(place);
    t.match(outcome, { exitCode: status, stderr: '' });
    t.ok(outcome.stdout.equals(Buffer.from(body)), `${body.length} bytes with status ${status}`);
  }
});

t.test('frames in other pieces than they were made in', { skip }, async (t) => {
  const frames = Buffer.concat([frame(accepted), frame(answered, { status: 3, body: 'result' })]);
  const pieces: readonly (readonly [string, Behaviour])[] = [
    ['all at once', sending(frames)],
    ['single bytes', sending(...[...frames].map((byte) => Buffer.from([byte])))],
    ['with more behind them', sending(frames, Buffer.from('more'))],
    ['before the request is read', ({ socket }) => void socket.write(frames)],
    ['answered without a word before', sending(frame(answered, { status: 3, body: 'result' }))],
  ];
  for (const [name, behave] of pieces) {
    const place = createPlace(t);
    await startFakeDaemon(t, place.runDirectory, behave);
    t.match(await launch(place), { exitCode: 3, stdout: Buffer.from('result'), stderr: '' }, name);
  }
});

t.test('a daemon that closes connections before it has taken the call', { skip }, async (t) => {
  const closings: readonly (readonly [string, Behaviour])[] = [
    ['at once', ({ socket }) => void socket.destroy()],
    ['when it has read the request', async ({ request }) => void (await request())],
  ];
  for (const [name, close] of closings) {
    for (const times of [1, 3, 8]) {
      const place = createPlace(t);
      const daemon = await startFakeDaemon(t, place.runDirectory, (conversation) => (conversation.number < times ? close : answering(0, 'result'))(conversation));
      const outcome = await launch(place, { stdin: Buffer.alloc(mib, 'x') });
      t.match(outcome, { exitCode: 0, stdout: Buffer.from('result'), stderr: '' }, `${name}, ${times} times: ${describe(outcome)}`);
      t.equal(daemon.connections(), times + 1);
    }
    const place = createPlace(t);
    const daemon = await startFakeDaemon(t, place.runDirectory, close);
    const outcome = await launch(place);
    t.match(outcome, { ...doneByWeft, stderr: /weft does it alone: it closed the connection before it took the call/ }, `${name}, always: ${describe(outcome)}`);
    t.equal(daemon.connections(), 9);
  }
});

t.test('a daemon that ends while it works', { skip }, async (t) => {
  await weftAlone(t, { 'after it took the call': sending(frame(accepted)), 'for DEL': sending(frame(accepted)) }, /it ended while it worked on the call/);
  const cut: Record<string, Behaviour> = {
    'in the middle of the first header': sending(frame(accepted).subarray(0, 9)),
    'in the middle of the last header': sending(frame(accepted), frame(answered).subarray(0, 15)),
    'in the middle of the body': sending(frame(accepted), frame(answered, { body: 'half', bodyBytes: 8 })),
    'before the body': sending(frame(accepted), frame(answered, { bodyBytes: 8 })),
  };
  await weftAlone(t, cut, /it broke off in the middle of a frame/);
});

t.test('a daemon that talks nonsense', { skip }, async (t) => {
  const noFrame: Record<string, Behaviour> = {
    'another protocol': sending(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')),
    'another magic': sending(frame(accepted, { magic: 'WARP' })),
    'another version': sending(frame(accepted, { version: 2 })),
    'an exit status that is none': sending(frame(accepted), frame(answered, { status: 256 })),
    'a body that is too long': sending(frame(accepted), frame(answered, { bodyBytes: 8 * mib + 1 })),
    'the longest body there is': sending(frame(accepted), frame(answered, { bodyBytes: 0xffffffff })),
    'acceptance with a body': sending(frame(accepted, { body: 'x' }), frame(answered)),
    'nonsense after acceptance': sending(frame(accepted), Buffer.alloc(64, 0xff)),
  };
  await weftAlone(t, noFrame, /it answered what is no frame of the protocol/);
  await weftAlone(t, { 'an unknown kind': sending(frame(0x84)), 'accepted twice': sending(frame(accepted), frame(accepted), frame(answered)) }, /it answered a frame of an unknown kind/);
});

t.test('a daemon that leaves the call to others', { skip }, async (t) => {
  const words = frame(elsewhere, { status: 2, body: 'the call is of another network namespace' });
  const rows: Record<string, Behaviour> = {
    'before it takes the call': sending(words),
    'after it took the call': sending(frame(accepted), words),
    'without reading the request': ({ socket }) => void socket.end(words),
    'without reading, nor closing': async ({ socket }) => {
      socket.pause().write(words);
      await ended(socket);
    },
  };
  await weftAlone(t, rows, /^weft: the daemon leaves the call to weft alone: the call is of another network namespace\n$/);
  await weftAlone(t, { 'without words': sending(frame(elsewhere)) }, /leaves the call to weft alone: \n$/);
});

t.test('a daemon that hangs before it takes the call', { skip }, async (t) => {
  const rows: Record<string, Behaviour> = {
    'it reads': sendingAndHanging(),
    'it sends half a header': sendingAndHanging(frame(accepted).subarray(0, 8)),
  };
  await weftAlone(t, rows, /it did not take the call in time; is it stopped\?/, { WEFT_DEADLINE_MS: '400' });
  await weftAlone(t, { 'without WEFT_DEADLINE_MS, after five seconds': sendingAndHanging() }, /it did not take the call in time/);
  const silent: Behaviour = async ({ socket }) => ended(socket.pause());
  await weftAlone(t, { 'it does not even read': silent }, /it did not read the call in time; is it stopped\?/, { WEFT_DEADLINE_MS: '400' });
});

t.test('a daemon that takes the call and hangs', { skip }, async (t) => {
  const place = createPlace(t);
  const daemon = await startFakeDaemon(t, place.runDirectory, sendingAndHanging(frame(accepted), frame(answered, { body: 'half', bodyBytes: 5 })));
  const details = `${place.runDirectory}/weft.sock: it took the call, and did not answer in time`;
  const msg = 'The daemon did not finish the call in time: look at its log, and repeat the call';
  for (const [verb, code] of [['ADD', 11], ['CHECK', 11], ['GC', 11], ['VERSION', 11], ['STATUS', 50]] as const) {
    const outcome = await launch(place, { env: { CNI_COMMAND: verb, WEFT_DEADLINE_MS: '300' } });
    t.match(outcome, { exitCode: 1, stderr: '' }, verb);
    t.same(errorOf(outcome), { cniVersion: '1.0.0', code, msg, details });
  }
  const del = await launch(place, { env: { CNI_COMMAND: 'DEL', WEFT_DEADLINE_MS: '300' } });
  t.match(del, { exitCode: 0, stdout: Buffer.alloc(0), stderr: /did not finish the call in time.*\n.*is written down in/ }, describe(del));
  t.match(pendingDels(place.stateDirectory), [{ del: { version: 1, containerId: 'c1', ifName: 'eth0', conf } }]);
  t.equal(daemon.connections(), 6, 'each was asked once');
});

t.test('a daemon of another user', { skip: skipLauncherUnlessRoot }, async (t) => {
  const place = createPlace(t);
  chmodSync(place.directory, 0o755);
  chownSync(place.runDirectory, nobody, nobody);
  // SO_PEERCRED has who called listen(2), which net.Server does before it returns.
  process.seteuid?.(nobody);
  const listening = startFakeDaemon(t, place.runDirectory, answering(0, 'forged'));
  process.seteuid?.(0);
  const daemon = await listening;
  const outcome = await launch(place);
  t.match(outcome, { ...doneByWeft, stderr: /it runs as another user, neither root nor the caller/ }, describe(outcome));
  t.same(daemon.requests, [], 'it was told nothing');
});

t.test('a full queue of connections', { skip: skip || skipUnless({ tools: ['python3'] }), timeout: 60_000 }, async (t) => {
  const place = createPlace(t);
  const daemon = await startFullDaemon(t, place.runDirectory);
  const refused = await launch(place, { env: { WEFT_DEADLINE_MS: '300' } });
  t.match(refused, { ...doneByWeft, stderr: /weft does it alone: its queue of connections is full/ }, describe(refused));
  const waiting = launch(place, {
    whileRunning: (child) => {
      child.stdin?.end(conf);
      void whenSleptOften(child).then(() => daemon.stdin?.end('\n'));
    },
  });
  t.match(await waiting, { exitCode: 0, stdout: Buffer.from('late'), stderr: '' });
});

t.test('a hundred calls at once', { skip }, async (t) => {
  const place = createPlace(t);
  const daemon = await startFakeDaemon(t, place.runDirectory, async ({ request, socket }) => {
    const { environment } = await request();
    const id = environment.find((entry) => entry.startsWith('CNI_CONTAINERID=')) ?? '';
    socket.write(Buffer.concat([frame(accepted), frame(answered, { status: id.length % 7, body: id })]));
  });
  const ids = Array.from({ length: 100 }, (_, index) => `container-${index}`);
  const outcomes = await Promise.all(ids.map((id) => launch(place, { env: { CNI_CONTAINERID: id } })));
  t.same(outcomes.map(({ stdout, exitCode, stderr }) => `${stdout} ${exitCode} ${stderr}`), ids.map((id) => `CNI_CONTAINERID=${id} ${(id.length + 16) % 7} `));
  t.equal(daemon.connections(), 100);
});

t.test('a launcher that is ended', { skip }, async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const place = createPlace(t);
    let running: ChildProcess | undefined;
    let isNoticed = false;
    await startFakeDaemon(t, place.runDirectory, async (conversation) => {
      await sending(frame(accepted))(conversation);
      running?.kill(signal);
      await ended(conversation.socket);
      isNoticed = true;
    });
    const outcome = await launch(place, {
      whileRunning: (child) => {
        running = child;
        child.stdin?.end(conf);
      },
    });
    t.match(outcome, { signal, stdout: Buffer.alloc(0) });
    await until(() => isNoticed);
    t.pass(`${signal} ends it, and the daemon sees the connection end`);
  }
});

t.test('an answer that nobody takes', { skip }, async (t) => {
  const place = createPlace(t);
  let running: ChildProcess | undefined;
  await startFakeDaemon(t, place.runDirectory, async (conversation) => {
    running?.stdout?.destroy();
    await answering(0, Buffer.alloc(mib))(conversation);
  });
  const outcome = await launch(place, {
    whileRunning: (child) => {
      running = child;
      child.stdin?.end(conf);
    },
  });
  t.match(outcome, { exitCode: 1, signal: null, stderr: /the answer could not be written: EPIPE/ }, describe(outcome));
  const full = openSync('/dev/full', 'w');
  t.teardown(() => closeSync(full));
  const child = spawn(launcherExecutable, { env: environmentOf(place), stdio: ['ignore', full, 'pipe'] });
  const exitCode = await new Promise((resolve) => child.once('exit', resolve));
  t.equal(exitCode, 1, 'a result that cannot be written is no success');
});

t.test('a deadline that is none', { skip }, async (t) => {
  const place = createPlace(t);
  await startFakeDaemon(t, place.runDirectory, answering(0, 'result'));
  for (const value of ['0', '-1', '1.5', '10s', ' 1', '3600001', '99999999999999999999', 'x']) {
    const outcome = await launch(place, { env: { WEFT_DEADLINE_MS: value } });
    const words = `weft: WEFT_DEADLINE_MS must be a whole number from 1 to 3600000: current value is ${value}, and 100000 is taken\n`;
    t.match(outcome, { exitCode: 0, stdout: Buffer.from('result'), stderr: words });
  }
  t.match(await launch(place, { env: { WEFT_DEADLINE_MS: '' } }), { exitCode: 0, stderr: '' }, 'empty counts as absent');
});

/** Each of the daemons makes the launcher execute weft, which alone answers; stderr says why. */
async function weftAlone(t: Test, rows: Readonly<Record<string, Behaviour>>, stderr: RegExp, env: Readonly<Record<string, string>> = {}): Promise<void> {
  for (const [name, behave] of Object.entries(rows)) {
    const place = createPlace(t);
    const daemon = await startFakeDaemon(t, place.runDirectory, behave);
    const stdin = Buffer.alloc(mib, conf.padEnd(conf.length + 1));
    const outcome = await launch(place, { env: { CNI_COMMAND: name === 'for DEL' ? 'DEL' : 'ADD', ...env }, stdin });
    t.match(outcome, { exitCode: 0, stderr }, `${name}: ${describe(outcome)}`);
    t.ok(outcome.stdout.equals(stdin), `${name}: weft was given the whole configuration, and nobody else wrote`);
    t.equal(daemon.connections(), 1, `${name}: asked once`);
  }
}

/** A daemon that listens with no queue to speak of, which is full. It serves after a line on its stdin. */
async function startFullDaemon(t: Test, runDirectory: string): Promise<ChildProcess> {
  const path = join(runDirectory, 'weft.sock');
  const answer = Buffer.concat([frame(accepted), frame(answered, { body: 'late' })]).toString('hex');
  const script = [
    'import socket, sys',
    'listener = socket.socket(socket.AF_UNIX)',
    `listener.bind("${path}")`,
    'listener.listen(0)',
    'print("listening", flush=True)',
    'sys.stdin.readline()',
    'while True:',
    '  connection, _ = listener.accept()',
    '  if connection.recv(65536):',
    `    connection.sendall(bytes.fromhex("${answer}"))`,
    '  connection.close()',
  ].join('\n');
  const child = spawn('python3', ['-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.teardown(() => void child.kill('SIGKILL'));
  await new Promise<void>((resolve) => child.stdout.once('data', () => resolve()));
  const filler = createConnection(path).on('error', () => undefined);
  await new Promise<void>((resolve) => filler.once('connect', () => resolve()));
  filler.end();
  return child;
}

/** When the process has gone to sleep so often that it must be trying again and again. */
async function whenSleptOften({ pid }: ChildProcess): Promise<void> {
  await until(() => Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) > 20);
}

async function until(isTrue: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 10_000; !isTrue(); await sleep(5)) {
    if (performance.now() > deadline) throw new Error('what was waited for did not come');
  }
}
