import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parseNodeConf } from '../config/node-conf.ts';
import type { NodeConf } from '../config/node-model.ts';
import { WeftError } from '../errors/weft-error.ts';
import { temporaryDirectory } from '../testing/directory.ts';
import { LiveNodeConf } from './live-node-conf.ts';
import { eventually, recordingLog, type LoggedLine } from './test-daemon.ts';

interface Scene {
  readonly path: string;
  readonly conf: LiveNodeConf;
  readonly lines: readonly LoggedLine[];
  /** How often another configuration has come into force. */
  readonly changes: () => number;
  readonly messages: () => readonly string[];
}

async function createScene(t: Test, text: string, prepare: (path: string) => void = (path) => writeFileSync(path, text)): Promise<Scene> {
  const path = join(temporaryDirectory(t), 'weft.yaml');
  prepare(path);
  const { log, lines } = recordingLog();
  let changes = 0;
  const conf = await LiveNodeConf.open({ path, read: () => read(path), log, onChange: () => (changes += 1) });
  t.teardown(() => conf.close());
  return { path, conf, lines, changes: () => changes, messages: () => lines.map(({ level, message }) => `${level}: ${message}`) };
}

async function read(path: string): Promise<NodeConf> {
  try {
    return parseNodeConf(readFileSync(path, 'utf8'), path);
  } catch (cause) {
    if (cause instanceof WeftError) throw cause;
    throw new WeftError('ioFailure', `Cannot read ${path}`, { cause });
  }
}

const one = 'node: one\nvtep: {address: 192.0.2.1}\n';
const two = 'node: two\nvtep: {address: 192.0.2.1}\n';
const [same, another, refused, mended] = [
  'debug: the node configuration is as it was',
  'info: another node configuration is in force',
  'error: the node configuration was refused: the one before stays in force',
  'info: the node configuration is mended, and is the one in force',
];

t.test('reload', async (t) => {
  const { path, conf, lines, changes, messages } = await createScene(t, one);
  t.match(conf.current, { node: 'one' });
  await conf.reload();
  t.equal(changes(), 0, 'the same file is no change, though addresses are bigints');
  writeFileSync(path, two);
  await conf.reload();
  t.match(conf.current, { node: 'two' });
  t.equal(changes(), 1);
  writeFileSync(path, 'nodee: three\n');
  await conf.reload();
  t.match(conf.current, { node: 'two' }, 'a file with a fault is not taken');
  t.match(conf.fault, /unknown key "nodee": the nearest known key is "node"/);
  t.equal(changes(), 1);
  rmSync(path);
  await conf.reload();
  t.match(conf.fault, /Cannot read/);
  writeFileSync(path, two);
  await conf.reload();
  t.equal(conf.fault, undefined, 'mended');
  t.equal(changes(), 1, 'it is the one in force already');
  t.same(messages(), [same, another, refused, refused, mended]);
  t.match(lines[2], { path, error: /nodee/ });
});

t.test('a first reading that fails is the caller’s to report', async (t) => {
  await t.rejects(createScene(t, 'node: ['), { name: 'WeftError' });
});

t.test('the file is watched: written in place, replaced, removed, and not its neighbours', async (t) => {
  const { path, conf, changes, messages } = await createScene(t, one);
  conf.watch();
  await eventually('what changed before is looked at once', () => messages().length === 1);
  t.same(messages(), [same]);
  writeFileSync(path, two);
  await eventually('a file written in place is read', () => conf.current.node === 'two');
  writeFileSync(`${path}.new`, one);
  renameSync(`${path}.new`, path);
  await eventually('a file that takes its place is read', () => conf.current.node === 'one');
  rmSync(path);
  await eventually('that it is gone is seen', () => conf.fault !== undefined);
  writeFileSync(path, two);
  await eventually('that it is back is seen', () => conf.current.node === 'two' && conf.fault === undefined);
  t.equal(changes(), 3);
  conf.close();
  conf.close();
  const { log } = recordingLog();
  const other = await LiveNodeConf.open({ path, read: () => read(path), log, onChange: () => undefined });
  t.teardown(() => other.close());
  other.watch();
  writeFileSync(path, one);
  await eventually('another one sees it', () => other.current.node === 'one');
  t.match(conf.current, { node: 'two' }, 'one that is closed does not');
});

t.test('a change between the first reading and the watch is not lost', async (t) => {
  const { path, conf } = await createScene(t, one);
  writeFileSync(path, two);
  conf.watch();
  await eventually('it is read', () => conf.current.node === 'two');
  t.pass('read');
});

t.test('links that Kubernetes exchanges', async (t) => {
  const publish = (directory: string, version: string, text: string): void => {
    mkdirSync(join(directory, version));
    writeFileSync(join(directory, version, 'weft.yaml'), text);
    symlinkSync(version, join(directory, '..tmp'));
    renameSync(join(directory, '..tmp'), join(directory, '..data'));
  };
  const { path, conf } = await createScene(t, one, (file) => {
    publish(join(file, '..'), '..1', one);
    symlinkSync('..data/weft.yaml', file);
  });
  conf.watch();
  publish(join(path, '..'), '..2', two);
  await eventually('the new one is read', () => conf.current.node === 'two');
  t.pass('read');
});

t.test('a directory that is not there is not watched, and no fault', async (t) => {
  const { log, lines } = recordingLog();
  const path = '/no/such/directory/weft.yaml';
  const conf = await LiveNodeConf.open({ path, read: () => Promise.resolve({ tenants: [] }), log, onChange: () => undefined });
  conf.watch();
  t.match(lines, [{ level: 'debug', message: /not watched/, path }]);
  conf.close();
});
