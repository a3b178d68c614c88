/** What the launcher sends: the call, the whole call, and nothing but the call. */
import { statSync } from 'node:fs';
import t from 'tap';
import { createNetns, netnsPath } from '../../pkg/testing/netns.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { answering, startFakeDaemon } from './fake-daemon.ts';
import { conf, createPlace, describe, doneByWeft, environmentOf, errorOf, launch, launcherExecutable, skipLauncher as skip, skipLauncherUnlessRoot } from './launch.ts';

const kib = 1024;
const mib = 1024 * kib;
t.setTimeout(60_000);

function identityOf(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true });
  return `${dev}:${ino}`;
}

t.test('the request', { skip }, async (t) => {
  const place = createPlace(t);
  const daemon = await startFakeDaemon(t, place.runDirectory, answering(0, ''));
  const foreign = { HOME: '/root', WEFT_CALLER_NETNS: '1:1', WEFT_TARGET_NETNS: '1:1', XCNI_A: '1', PATHS: '/', CNI_ARGS: 'IP=10.1.1.1;K8S_POD_NAME=größe', CNI_SOMETHING: '' };
  const outcome = await launch(place, { env: foreign });
  t.match(outcome, { exitCode: 0, stderr: '' }, describe(outcome));
  const [request] = daemon.requests;
  t.match(request, { magic: 'WEFT', version: 1, kind: 1, stdin: Buffer.from(conf) });
  t.same([...(request?.environment ?? [])].sort(), [
    'CNI_ARGS=IP=10.1.1.1;K8S_POD_NAME=größe',
    'CNI_COMMAND=ADD',
    'CNI_CONTAINERID=c1',
    'CNI_IFNAME=eth0',
    'CNI_NETNS=/proc/self/ns/net',
    'CNI_PATH=/opt/cni/bin',
    'CNI_SOMETHING=',
    'PATH=/usr/bin:/bin',
    `WEFT_CALLER_NETNS=${identityOf('/proc/self/ns/net')}`,
    `WEFT_TARGET_NETNS=${identityOf('/proc/self/ns/net')}`,
  ]);
});

t.test("the container's network namespace", { skip: skip || skipUnless({ root: true, tools: ['ip'] }) }, async (t) => {
  const place = createPlace(t);
  const daemon = await startFakeDaemon(t, place.runDirectory, answering(0, ''));
  const path = netnsPath(createNetns(t));
  for (const netns of [path, '/run/netns/gone', '', undefined]) await launch(place, { env: { CNI_NETNS: netns } });
  const targets = daemon.requests.map(({ environment }) => environment.find((entry) => entry.startsWith('WEFT_TARGET_NETNS=')));
  t.same(targets, [`WEFT_TARGET_NETNS=${identityOf(path)}`, undefined, undefined, undefined]);
  t.not(identityOf(path), identityOf('/proc/self/ns/net'));
});

t.test('of a variable that is there twice, the first counts', { skip: skip || skipUnless({ tools: ['python3'] }) }, async (t) => {
  const place = createPlace(t);
  const daemon = await startFakeDaemon(t, place.runDirectory, answering(0, ''));
  const entries = ['CNI_ARGS=first', ...Object.entries(environmentOf(place)).map(([key, value]) => `${key}=${value}`), 'CNI_ARGS=second', 'CNI_LONELY'];
  const script = [
    'import ctypes, sys',
    'strings = lambda words: (ctypes.c_char_p * (len(words) + 1))(*[word.encode() for word in words], None)',
    'ctypes.CDLL(None).execve(sys.argv[1].encode(), strings(["weft"]), strings(sys.argv[2:]))',
  ].join('\n');
  await launch(place, { env: { WEFT_EXE: '/usr/bin/python3', WEFT_RUN_DIR: '/nowhere' }, args: ['-c', script, launcherExecutable, ...entries] });
  const environment = daemon.requests[0]?.environment ?? [];
  t.same(environment.filter((entry) => entry.startsWith('CNI_ARGS') || entry.startsWith('CNI_LONELY')), ['CNI_ARGS=first']);
});

t.test('stdin of every size', { skip }, async (t) => {
  const place = createPlace(t);
  const daemon = await startFakeDaemon(t, place.runDirectory, answering(0, ''));
  const sizes: readonly (readonly [number, number])[] = [[0, 0], [1, 1], [64 * kib, 64 * kib], [mib - 1, mib - 1], [mib, mib], [mib + 1, mib + 1], [3 * mib, mib + 1]];
  for (const [given, passed] of sizes) {
    const stdin = Buffer.alloc(given, 'configuration ');
    const outcome = await launch(place, { stdin });
    t.match(outcome, { exitCode: 0, stderr: '' }, `${given} bytes: ${describe(outcome)}`);
    t.ok(daemon.requests.at(-1)?.stdin.equals(stdin.subarray(0, passed)), `${given} bytes arrive as ${passed}`);
  }
  t.equal(daemon.connections(), sizes.length);
});

t.test('stdin in pieces', { skip }, async (t) => {
  const place = createPlace(t);
  const daemon = await startFakeDaemon(t, place.runDirectory, answering(0, ''));
  const letters = [...conf];
  await launch(place, {
    whileRunning: ({ stdin }) => {
      const writeNext = (): void => void stdin?.write(letters.shift() ?? '', () => (letters.length > 0 ? writeNext() : stdin.end()));
      writeNext();
    },
  });
  t.equal(daemon.requests[0]?.stdin.toString(), conf);
});

t.test('stdin that is none', { skip: skipLauncherUnlessRoot }, async (t) => {
  const place = createPlace(t);
  const daemon = await startFakeDaemon(t, place.runDirectory, answering(0, '{}'));
  t.match(await launch(place, { before: 'exec 0<&-' }), { exitCode: 0 }, 'closed');
  t.equal(daemon.requests[0]?.stdin.length, 0, 'is empty');
  t.match(await launch(place, { before: 'exec 0</dev/zero' }), { exitCode: 0 });
  t.equal(daemon.requests[1]?.stdin.length, mib + 1, 'without an end, but with bytes: read as far as needed');
  const directory = await launch(place, { before: 'exec 0</' });
  t.equal(directory.exitCode, 1);
  t.same(errorOf(directory), { cniVersion: '1.0.0', code: 5, msg: 'The network configuration on stdin cannot be read: EISDIR' });
  t.match(await launch(place, { before: 'exec 0<&- 1>&- 2>&-', env: { CNI_COMMAND: 'DEL' } }), { exitCode: 0 }, 'everything closed');
  t.equal(daemon.requests.length, 3);
});

t.test('stdin that does not end', { skip }, async (t) => {
  const place = createPlace(t);
  const daemon = await startFakeDaemon(t, place.runDirectory, answering(0, ''));
  for (const verb of ['ADD', 'DEL']) {
    const env = { CNI_COMMAND: verb, WEFT_DEADLINE_MS: '300' };
    const outcome = await launch(place, { env, whileRunning: ({ stdin }) => stdin?.write('{"cniVersion": "1.1.0", ') });
    t.equal(outcome.exitCode, 1);
    t.same(errorOf(outcome), { cniVersion: '1.1.0', code: 5, msg: 'The network configuration must come on stdin and end: it did not within 300 ms' });
  }
  t.equal(daemon.connections(), 0, 'nobody was asked');
});

t.test('an environment that is more than a daemon takes', { skip }, async (t) => {
  const place = createPlace(t);
  const daemon = await startFakeDaemon(t, place.runDirectory, answering(0, ''));
  const outcome = await launch(place, { env: { CNI_ARGS: `A=${'x'.repeat(64 * kib)}` } });
  t.match(outcome, { ...doneByWeft, stderr: /weft does it alone: the CNI_\* variables and PATH have more than 64 KiB/ }, describe(outcome));
  t.equal(daemon.connections(), 0);
  await launch(place, { env: { CNI_ARGS: `A=${'x'.repeat(60 * kib)}` } });
  t.equal(daemon.connections(), 1, 'a large one is taken');
});
