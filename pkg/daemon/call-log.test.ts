import t from 'tap';
import type { CniAnswer } from '../cni/dispatch.ts';
import { WeftError } from '../errors/weft-error.ts';
import { CallLog, type CallNote } from './call-log.ts';
import { StepClock } from './step-clock.ts';
import { eventually, recordingLog } from './test-daemon.ts';

const good: CniAnswer = { stdout: '{}', exitCode: 0 };
const bad: CniAnswer = { stdout: '{"code":7}', exitCode: 1, error: new WeftError('invalidConfiguration', 'vni must be a number') };

function call(verb: string | undefined, more: Readonly<Record<string, string>> = {}): { readonly env: Record<string, string>; readonly stdin: string } {
  return { env: { ...(verb === undefined ? {} : { CNI_COMMAND: verb }), ...more }, stdin: '' };
}

t.test('a line for each call: what changes something aloud, what only looks quietly, what fails in any case', async (t) => {
  const { log, lines } = recordingLog();
  const calls = new CallLog({ log, onQuiet: () => undefined });
  for (const verb of ['ADD', 'DEL', 'GC', 'CHECK', 'STATUS', 'VERSION']) {
    t.equal(await calls.watch(call(verb), () => Promise.resolve(good)), good);
    t.equal(await calls.watch(call(verb), () => Promise.resolve(bad)), bad);
  }
  t.match(lines.map(({ verb, level, outcome, message }) => `${verb} ${level} ${outcome}: ${message}`), [
    'ADD info ok: ADD done', 'ADD warn failed: ADD failed',
    'DEL info ok: DEL done', 'DEL warn failed: DEL failed',
    'GC info ok: GC done', 'GC warn failed: GC failed',
    'CHECK debug ok: CHECK done', 'CHECK warn failed: CHECK failed',
    'STATUS debug ok: STATUS done', 'STATUS warn failed: STATUS failed',
    'VERSION debug ok: VERSION done', 'VERSION warn failed: VERSION failed',
  ]);
  t.match(lines[1], { code: 7, error: 'vni must be a number', ms: Number });
  t.notOk(lines.some((line) => 'steps' in line), 'steps are timed only when somebody asks for them');
  t.same(calls.counts, Object.fromEntries(['ADD', 'DEL', 'GC', 'CHECK', 'STATUS', 'VERSION'].map((verb) => [verb, { ok: 1, failed: 1 }])));
});

t.test('whose call it was', async (t) => {
  const { log, lines } = recordingLog();
  const calls = new CallLog({ log, onQuiet: () => undefined });
  const ids = { CNI_CONTAINERID: 'c1', CNI_IFNAME: 'eth0' };
  const rows: readonly (readonly [Record<string, string>, Record<string, unknown>])[] = [
    [ids, { containerId: 'c1', ifName: 'eth0', pod: undefined }],
    [{ ...ids, CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=till-0;K8S_POD_UID=u' }, { pod: 'shop/till-0' }],
    [{ CNI_ARGS: 'K8S_POD_NAME=till-0' }, { pod: 'till-0', containerId: undefined }],
    [{ CNI_ARGS: 'NOT_K8S_POD_NAME=till-0' }, { pod: undefined }],
  ];
  for (const [env, expected] of rows) {
    await calls.watch(call('ADD', env), () => Promise.resolve(good));
    const line = lines.at(-1);
    for (const [field, value] of Object.entries(expected)) t.equal(line?.[field], value, `${env['CNI_ARGS'] ?? ''} ${field}`);
  }
});

t.test('verbs that callers make up take no memory', async (t) => {
  const { log } = recordingLog();
  const calls = new CallLog({ log, onQuiet: () => undefined });
  for (const verb of [undefined, '', 'add', '__proto__', 'constructor', ...Array.from({ length: 100 }, (_, number) => `VERB${number}`)]) {
    await calls.watch(call(verb), () => Promise.resolve(bad));
  }
  t.same(calls.counts, { other: { ok: 0, failed: 105 } });
});

t.test('calls under way, and quiet after the last', async (t) => {
  const { log } = recordingLog();
  let quiet = 0;
  const calls = new CallLog({ log, onQuiet: () => (quiet += 1) });
  const [one, two] = [Promise.withResolvers<CniAnswer>(), Promise.withResolvers<CniAnswer>()];
  const watched = [calls.watch(call('ADD'), () => one.promise), calls.watch(call('DEL'), () => two.promise)];
  t.equal(calls.inFlight, 2);
  one.resolve(good);
  await watched[0];
  t.equal(calls.inFlight, 1);
  two.resolve(bad);
  await watched[1];
  t.equal(calls.inFlight, 0);
  // The timer keeps no process alive, so something else must.
  await eventually('it has become quiet', () => quiet === 1);
  await t.rejects(calls.watch(call('ADD'), () => Promise.reject(new Error('broken'))), { message: 'broken' });
  t.equal(calls.inFlight, 0, 'also after work that rejected');
});

t.test('the steps of a call, where they are timed', async (t) => {
  const { log, lines } = recordingLog();
  const clock = new StepClock();
  const calls = new CallLog({ log, onQuiet: () => undefined, clock });
  const add = async (step: string): Promise<CniAnswer> => {
    await clock.time(step, () => new Promise((resolve) => setImmediate(resolve)));
    clock.time('ledger', () => undefined);
    return good;
  };
  await Promise.all(['one', 'two'].map((step) => calls.watch(call('ADD', { CNI_CONTAINERID: step }), () => add(step))));
  for (const line of lines) t.same(Object.keys(line['steps'] as object).sort(), [`${line['containerId']}`, 'ledger'].sort(), 'its own, though both ran at once');
});

t.test('whoever wants to know of each call hears of it', async (t) => {
  const { log } = recordingLog();
  const notes: CallNote[] = [];
  const calls = new CallLog({ log, onQuiet: () => undefined, onCall: (note) => void notes.push(note) });
  await calls.watch(call('ADD'), () => Promise.resolve(good));
  await calls.watch(call('ADD'), () => Promise.resolve(bad));
  await calls.watch(call('MADE-UP'), () => Promise.resolve({ stdout: '', exitCode: 1, error: new Error('no code') }));
  t.same(notes.map(({ milliseconds: _, ...rest }) => rest), [{ verb: 'ADD', isOk: true }, { verb: 'ADD', isOk: false, code: 7 }, { verb: 'other', isOk: false }]);
  for (const { milliseconds } of notes) t.ok(milliseconds >= 0 && milliseconds < 60_000);
});
