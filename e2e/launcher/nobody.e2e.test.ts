/** Neither a daemon nor weft: error objects that say what to do, and DELs written down. */
import { mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { conf, createPlace, describe, errorOf, launch, pendingDels, skipLauncherUnlessRoot as skip, type Launch, type Launched, type Place } from './launch.ts';

const mib = 1024 * 1024;
const fileBytesMax = 4 * mib;
t.setTimeout(60_000);

/** A call on a machine without daemon and without weft. */
async function callNobody(place: Place, verb: string, { env = {}, before = ':', ...rest }: Launch = {}): Promise<Launched> {
  return launch(place, { before, ...rest, env: { CNI_COMMAND: verb, WEFT_EXE: undefined, ...env } });
}

t.test('error objects', { skip }, async (t) => {
  const place = createPlace(t);
  const socket = join(place.runDirectory, 'weft.sock');
  const msg = `Neither does a daemon on ${socket} do the call, nor can weft be executed: start the daemon, or install weft as /usr/local/bin/weft, or name it in WEFT_EXE`;
  const details = `${socket}: nobody listens: ENOENT; /usr/local/bin/weft: ENOENT`;
  for (const [verb, code] of [['ADD', 11], ['CHECK', 11], ['GC', 11], ['VERSION', 11], ['STATUS', 50], ['', 11], ['add', 11]] as const) {
    const outcome = await callNobody(place, verb);
    t.match(outcome, { exitCode: 1, stderr: '' });
    t.same(errorOf(outcome), { cniVersion: '1.0.0', code, msg, details }, `${verb}: ${describe(outcome)}`);
    t.equal(outcome.stdout.at(-1), 0x0a, 'one line');
  }
  t.notOk(readdirSync(place.directory).includes('state'), 'and nothing is written');
});

t.test("the error object's version", { skip }, async (t) => {
  const place = createPlace(t);
  const rows: readonly (readonly [string | Buffer, string])[] = [
    ['{"cniVersion":"0.4.0"}', '0.4.0'],
    ['{"name":"blue", "cniVersion" \n:\t"1.1.0" }', '1.1.0'],
    ['{"cniVersion":"1.0.0","prevResult":{"cniVersion":"0.4.0"}}', '1.0.0'],
    ['{"cniVersion":"0.3.1"}', '1.0.0'],
    ['{"cniVersion":"9.9.9"}', '1.0.0'],
    ['{"cniVersion":"1.1.0x"}', '1.0.0'],
    ['{"cniVersion":1}', '1.0.0'],
    ['{"cniVersion"', '1.0.0'],
    ['{"cniVersion":', '1.0.0'],
    ['{"cniVersion":"1.1', '1.0.0'],
    ['{"cniVersion" "1.1.0"}', '1.0.0'],
    ['', '1.0.0'],
    [Buffer.alloc(mib + 1, 0), '1.0.0'],
  ];
  for (const [stdin, cniVersion] of rows) t.match(errorOf(await callNobody(place, 'ADD', { stdin })), { cniVersion, code: 11 }, String(stdin).slice(0, 60));
});

t.test('an error object stays one whatever is in it', { skip }, async (t) => {
  const place = createPlace(t);
  const odd = '/"quoted"\\\n\t\u0001\u007f/größe/\u{1f980}';
  const outcome = await callNobody(place, 'ADD', { env: { WEFT_EXE: odd } });
  t.match(errorOf(outcome), { code: 11, details: new RegExp(`; ${RegExp.escape(odd)}: ENOENT; /usr/local/bin/weft: ENOENT$`) });
  const noText = await callNobody(place, 'ADD', { before: "export WEFT_EXE=$(printf '/a\\377\\355\\240\\200\\300\\200z')" });
  t.match(errorOf(noText), { details: /; \/a\ufffd{6}z: ENOENT/ }, 'bytes that are no text');
  const long = await callNobody(place, 'ADD', { env: { WEFT_EXE: `/${'\u0001'.repeat(20_000)}` } });
  t.match(errorOf(long), { code: 11, msg: /Neither does a daemon/ }, 'and however long');
});

t.test('a DEL is written down', { skip }, async (t) => {
  const place = createPlace(t);
  const before = Date.now();
  const outcome = await callNobody(place, 'DEL');
  const after = Date.now();
  t.match(outcome, { exitCode: 0, stdout: Buffer.alloc(0) }, describe(outcome));
  const [{ name, del } = { name: '', del: {} }, ...others] = pendingDels(place.stateDirectory);
  const path = join(place.stateDirectory, 'pending-dels', name);
  t.match(outcome.stderr, `the DEL of container c1 eth0 is written down in ${join(place.stateDirectory, 'pending-dels')}, to be done later`);
  t.same(others, []);
  t.same(del, { version: 1, containerId: 'c1', ifName: 'eth0', conf, requestedAt: del['requestedAt'] });
  const requestedAt = Number(del['requestedAt']);
  t.ok(requestedAt >= before && requestedAt <= after, 'at the time it was asked for');
  t.match([statSync(path).mode, statSync(join(path, '..')).mode, statSync(place.stateDirectory).mode], [0o100600, 0o40700, 0o40700]);
  t.equal(name, `${fnv1a64('c1\0eth0\0')}.json`);
  await callNobody(place, 'DEL', { stdin: '{}' });
  t.match(pendingDels(place.stateDirectory), [{ name, del: { conf: '{}' } }], 'a second time it is the same file');
  await callNobody(place, 'DEL', { env: { CNI_CONTAINERID: 'c2' } });
  await callNobody(place, 'DEL', { env: { CNI_IFNAME: 'eth1' } });
  t.equal(pendingDels(place.stateDirectory).length, 3, 'other attachments have files of their own');
});

t.test('the configuration that is written down', { skip }, async (t) => {
  const place = createPlace(t);
  const kept: readonly (string | Buffer)[] = ['{"name":"größe \u{1f980}", "a\\"b": "\\\\"}\r\n\t', 'no JSON', '\u0001\u001f\u007f\u0080\uffff', Buffer.alloc(mib, '"'), Buffer.alloc(mib, 'x')];
  const dropped: readonly (string | Buffer)[] = ['', 'a\0b', Buffer.from([0xff]), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from([0xc0, 0x80]), Buffer.from([0xe2, 0x82]), Buffer.from([0xf4, 0x90, 0x80, 0x80]), Buffer.alloc(mib + 1, 'x')];
  const cases = [...kept.map((stdin) => ({ stdin, expected: stdin.toString() })), ...dropped.map((stdin) => ({ stdin, expected: undefined }))];
  for (const { stdin, expected } of cases) {
    const outcome = await callNobody(place, 'DEL', { stdin });
    const del = onlyDel(place);
    t.equal(outcome.exitCode, 0);
    t.ok(del['conf'] === expected, `${stdin.length} bytes are ${expected === undefined ? 'left out' : 'kept'}: ${String(del['conf']).slice(0, 40)}`);
  }
  await callNobody(place, 'DEL', { stdin: Buffer.alloc(mib, '\u0001') });
  const folder = join(place.stateDirectory, 'pending-dels');
  const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size);
  t.ok(sizes.every((size) => size <= fileBytesMax), 'what would become too long a file is left out');
  t.notOk('conf' in onlyDel(place));
});

t.test('where a DEL is written down', { skip }, async (t) => {
  const readOnly = '; mount --bind "$WEFT_STATE_DIR" "$WEFT_STATE_DIR"; mount -o remount,bind,ro "$WEFT_STATE_DIR"';
  const rows: readonly (readonly [string, Launch, (place: Place) => void])[] = [
    ['a state directory below a file', { env: { WEFT_STATE_DIR: '/dev/null/weft' } }, () => undefined],
    ['a read-only state directory', { before: `mkdir "$WEFT_STATE_DIR"${readOnly}` }, () => undefined],
    ['a full folder', {}, fillFolder],
  ];
  for (const [name, call, prepare] of rows) {
    const place = createPlace(t);
    prepare(place);
    const outcome = await callNobody(place, 'DEL', call);
    t.match(outcome, { exitCode: 0, stderr: join(place.runDirectory, 'pending-dels') }, `${name}: ${describe(outcome)}`);
    t.match(pendingDels(place.runDirectory), [{ del: { containerId: 'c1', ifName: 'eth0', conf } }], `${name}: the run directory takes it`);
  }
});

t.test('a DEL that cannot be written down fails', { skip }, async (t) => {
  const place = createPlace(t);
  fillFolder(place);
  const outcome = await callNobody(place, 'DEL', { env: { WEFT_RUN_DIR: '/dev/null' } });
  t.equal(outcome.exitCode, 1);
  const details = `; ${place.stateDirectory}/pending-dels: it holds 1024 files already; /dev/null/pending-dels: ENOTDIR`;
  t.match(errorOf(outcome), { code: 11, msg: /The DEL cannot be done now, nor be written down for later: make one of the directories writable/, details: new RegExp(`${RegExp.escape(details)}$`) });
  for (const key of ['CNI_CONTAINERID', 'CNI_IFNAME']) {
    for (const value of ['', undefined]) {
      const keyless = await callNobody(place, 'DEL', { env: { [key]: value } });
      t.match([keyless.exitCode, errorOf(keyless)], [1, { code: 4, msg: `${key} must be set for DEL` }]);
    }
  }
});

function onlyDel({ stateDirectory }: Place): Readonly<Record<string, unknown>> {
  const [entry, ...others] = pendingDels(stateDirectory);
  if (entry === undefined || others.length > 0) throw new Error(`there must be one DEL written down: there are ${others.length + (entry === undefined ? 0 : 1)}`);
  return entry.del;
}

/** As many files as a folder may hold; a DEL that has its own among them is written all the same. */
function fillFolder({ stateDirectory }: Place): void {
  const folder = join(stateDirectory, 'pending-dels');
  mkdirSync(folder, { recursive: true });
  for (let index = 0; index < 1024; index++) writeFileSync(join(folder, `${index}.json`), '{}');
}

/** The 64-bit FNV-1a hash in 16 hexadecimal digits, as the format of the file names has it. */
function fnv1a64(words: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(words)) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  return hash.toString(16).padStart(16, '0');
}

t.test('a full folder takes again what it has', { skip }, async (t) => {
  const place = createPlace(t);
  fillFolder(place);
  const own = join(place.stateDirectory, 'pending-dels', `${fnv1a64('c1\0eth0\0')}.json`);
  writeFileSync(own, '{}');
  t.match(await callNobody(place, 'DEL'), { exitCode: 0 });
  t.match(JSON.parse(readFileSync(own, 'utf8')), { containerId: 'c1' });
});
