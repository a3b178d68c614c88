import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { WeftError } from '../errors/weft-error.ts';
import { NodeFilesystem } from './files.ts';
import { install } from './install.ts';
import { pathsForTest } from './test-files.ts';
import { isOfWeft, uninstall, type UninstallOutcome } from './uninstall.ts';
import { digestOfText } from './files.ts';

const confList = JSON.stringify({ cniVersion: '1.0.0', name: 'pods', plugins: [{ type: 'weft' }, { type: 'portmap' }] });

function put(root: string): void {
  const wanted = pathsForTest.map((path) => ({ path, mode: 0o600, digest: digestOfText(confList), content: { kind: 'text', text: confList } as const, isConfiguration: false }));
  install({ files: new NodeFilesystem(root), wanted, choices: { overwrite: false, besideOthers: false }, onStep: () => undefined });
}

interface Taken {
  readonly outcome: UninstallOutcome;
  readonly steps: readonly string[];
}

/** `counts`: the endpoints at each look; the last stays. */
async function take(root: string, counts: readonly (readonly string[])[], { waitMs = 0, lingerMs = 0 } = {}): Promise<Taken> {
  const [left, steps] = [[...counts], [] as string[]];
  const endpoints = async (): Promise<readonly string[]> => (left.length > 1 ? left.shift() : left[0]) ?? [];
  return { outcome: await uninstall({ files: new NodeFilesystem(root), endpoints, waitMs, lingerMs, pollMs: 20, onStep: (done) => steps.push(done) }), steps };
}

const there = (root: string): readonly boolean[] => pathsForTest.map((path) => existsSync(join(root, path)));

t.test('without endpoints all goes, the conflist first, and a second time there is nothing', async (t) => {
  const root = t.testdir();
  put(root);
  const { outcome, steps } = await take(root, [[]]);
  t.same(outcome, { kind: 'done', kept: [] });
  t.match(steps, [/^took .*10-weft\.conflist from the runtime's sight/, /removed \/opt\/cni\/bin\/weft/, /removed \/usr\/local\/bin\/weft/, /weft\.yaml/, /removed .*10-weft\.conflist/, /installed\.json/]);
  t.same(there(root), [false, false, false, false]);
  t.same(readdirSync(join(root, 'etc/cni/net.d')), []);
  t.same((await take(root, [[]])).outcome, { kind: 'nothing' });
});

t.test('with endpoints nothing goes, and the conflist does not even for a moment', async (t) => {
  const root = t.testdir();
  put(root);
  t.same(await take(root, [['web/eth0']]), { outcome: { kind: 'waiting', endpoints: ['web/eth0'] }, steps: [] });
  t.same(there(root), [true, true, true, true]);
});

t.test('it waits for the last one', async (t) => {
  const root = t.testdir();
  put(root);
  const { outcome, steps } = await take(root, [['a', 'b'], ['b'], []], { waitMs: 60_000 });
  t.same(outcome, { kind: 'done', kept: [] });
  t.match(steps.slice(0, 3), [/waiting for 2 endpoint/, /waiting for 1 endpoint/, /^took /]);
});

t.test('there must have been none for a while', async (t) => {
  const root = t.testdir();
  put(root);
  const { outcome, steps } = await take(root, [[], ['again'], []], { waitMs: 60_000, lingerMs: 30 });
  t.same(outcome, { kind: 'done', kept: [] });
  t.match(steps.slice(0, 4), [/no endpoint is left: waiting/, /waiting for 1 endpoint/, /no endpoint is left: waiting/, /^took /]);
});

t.test('an ADD that came between the look and the conflist\'s going has its conflist back', async (t) => {
  const root = t.testdir();
  put(root);
  const { outcome, steps } = await take(root, [[], ['late/eth0']]);
  t.match(outcome, { kind: 'waiting', endpoints: ['late/eth0'] });
  t.match(steps, [/^took /, /^put \/etc\/cni\/net\.d\/10-weft\.conflist back/]);
  t.same(there(root), [true, true, true, true]);
  // As when the process is killed between the two.
  new NodeFilesystem(root).rename('/etc/cni/net.d/10-weft.conflist', '.weft-uninstall.10-weft.conflist');
  t.match((await take(root, [['late/eth0']])).steps, [/^put /], 'also what a killed one had set aside');
  t.same(there(root), [true, true, true, true]);
});

t.test('what is not known is not removed, and what is somebody else\'s stays', async (t) => {
  const root = t.testdir();
  put(root);
  const files = new NodeFilesystem(root);
  const endpoints = (): Promise<never> => Promise.reject(new WeftError('ledgerDamaged', 'no'));
  await t.rejects(uninstall({ files, endpoints, waitMs: 0, lingerMs: 0, onStep: () => undefined }), { code: 'ledgerDamaged' });
  t.same(there(root), [true, true, true, true]);
  writeFileSync(join(root, pathsForTest[2]), 'by hand');
  writeFileSync(join(root, 'etc/cni/net.d/20-other.conflist'), '{"plugins":[{"type":"bridge"}]}');
  t.same((await take(root, [[]])).outcome, { kind: 'done', kept: [pathsForTest[2]] });
  t.same(there(root), [false, false, true, false]);
  t.same(readdirSync(join(root, 'etc/cni/net.d')), ['20-other.conflist']);
});

t.test('which network is weft\'s', async (t) => {
  for (const text of [confList, '{"type":"weft"}']) t.ok(isOfWeft(text), text);
  for (const text of ['', 'weft', 'null', '[]', '{}', '{"plugins":7}', '{"plugins":[null,7,{"type":"weft-like"}]}']) t.notOk(isOfWeft(text), text);
});
