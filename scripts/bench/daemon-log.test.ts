import t from 'tap';
import { parseCalls, samplesByStep } from './daemon-log.ts';

const log = [
  '{"level":"info","time":"2030-01-01T00:00:00.000Z","version":"1","pid":7,"message":"the daemon answers calls"}',
  '{"level":"info","verb":"ADD","containerId":"a","ifName":"eth0","ms":1.5,"outcome":"ok","message":"ADD done"}',
  '{"level":"warn","verb":"ADD","containerId":"b","ms":9,"outcome":"failed","error":"no","message":"ADD failed"}',
  '{"level":"info","verb":"DEL","ms":2.25,"outcome":"ok","steps":{"ledger":0.5,"kernel":1.5,"odd":"x"},"message":"DEL done"}',
  '{"level":"info","verb":"DEL","ms":3,"outcome":"ok","steps":{"kernel":2},"message":"DEL done"}',
  'a line of something else', '{"level":"in', 'null', '{}', '',
].join('\n');

t.test('parseCalls() takes the calls that succeeded', async (t) => {
  t.same(parseCalls(log), [
    { verb: 'ADD', ms: 1.5, steps: {} },
    { verb: 'DEL', ms: 2.25, steps: { ledger: 0.5, kernel: 1.5 } },
    { verb: 'DEL', ms: 3, steps: { kernel: 2 } },
  ]);
  t.same(parseCalls(''), []);
});

t.test('samplesByStep() keeps the order of the steps', async (t) => {
  t.same([...samplesByStep(parseCalls(log))], [['ledger', [0.5]], ['kernel', [1.5, 2]]]);
});
