import t from 'tap';
import { Recorder } from './recorder.ts';
import { recordedNames } from './describe.ts';

function recorder(test: { teardown(undo: () => void): void }): Recorder {
  const made = new Recorder({ verbs: ['ADD', 'DEL'], declineReasons: ['tooBusy'] });
  test.teardown(() => made.stop());
  return made;
}

t.test('what may come is there with zero before it comes', async (t) => {
  const text = await recorder(t).toText();
  for (const line of ['weft_cni_calls_total{verb="ADD",outcome="ok"} 0', 'weft_cni_call_duration_seconds_count{verb="DEL",outcome="ok"} 0', 'weft_cni_calls_declined_total{reason="tooBusy"} 0', 'weft_migrations_total{role="target",outcome="timed_out"} 0', 'weft_migration_activation_seconds_count 0']) t.ok(text.includes(`${line}\n`), line);
  t.same([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name).sort(), [...recordedNames].sort(), 'these, and no others of any library');
});

t.test('calls', async (t) => {
  const made = recorder(t);
  made.noteCall({ verb: 'ADD', isOk: true, milliseconds: 4 });
  made.noteCall({ verb: 'ADD', isOk: false, code: 7, milliseconds: 30 });
  for (const code of [undefined, -1, 1e9, 1.5, NaN]) made.noteCall({ verb: 'DEL', isOk: false, ...(code === undefined ? {} : { code }), milliseconds: 1 });
  made.noteDeclined('tooBusy');
  const text = await made.toText();
  for (const line of [
    'weft_cni_calls_total{verb="ADD",outcome="ok"} 1', 'weft_cni_calls_total{verb="ADD",outcome="failed",code="7"} 1', 'weft_cni_calls_total{verb="DEL",outcome="failed",code="other"} 5',
    'weft_cni_call_duration_seconds_bucket{le="0.0025",verb="ADD",outcome="ok"} 0', 'weft_cni_call_duration_seconds_bucket{le="0.005",verb="ADD",outcome="ok"} 1', 'weft_cni_call_duration_seconds_sum{verb="ADD",outcome="failed"} 0.03',
    'weft_cni_calls_declined_total{reason="tooBusy"} 1',
  ]) t.ok(text.includes(`${line}\n`), line);
});

t.test('migrations', async (t) => {
  const made = recorder(t);
  made.noteMigration({ seq: 1, event: 'begin', from: 'none', to: 'relaying' });
  made.noteMigration({ seq: 1, event: 'activate', from: 'relaying', to: 'departed' });
  made.noteMigration({ seq: 1, event: 'opened', from: 'departed', to: 'departed' });
  made.noteMigration({ seq: 1, event: 'quiet', from: 'departed', to: 'left' });
  made.noteMigration({ seq: 2, event: 'begin', from: 'none', to: 'relaying' });
  made.noteMigration({ seq: 2, event: 'late', from: 'relaying', to: 'none' });
  const text = await made.toText();
  for (const line of ['weft_migrations_total{role="source",outcome="moved"} 1', 'weft_migrations_total{role="source",outcome="timed_out"} 1', 'weft_migration_activation_seconds_count 1', 'weft_migration_duration_seconds_count{role="source"} 1']) t.ok(text.includes(`${line}\n`), line);
});

t.test('a call costs microseconds', async (t) => {
  const made = recorder(t);
  const startedAt = performance.now();
  for (let count = 0; count < 20_000; count += 1) made.noteCall({ verb: 'ADD', isOk: true, milliseconds: count % 50 });
  const microseconds = ((performance.now() - startedAt) / 20_000) * 1000;
  t.comment(`${microseconds.toFixed(2)} µs a call`);
  t.ok(microseconds < 500, 'even on a machine with much to do');
});
