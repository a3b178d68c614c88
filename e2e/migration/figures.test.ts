import t from 'tap';
import { figuresOf, judge, sampleOf, spreadOf, type Goal, type Sample } from './figures.ts';
import { flow, stream, windowOf } from './test-windows.ts';

const move = { from: 1, to: 2, machine: 'machine', senders: [{ name: 'sender1', node: 1 }, { name: 'sender2', node: 2 }, { name: 'sender3', node: 3 }] };
const stop: Goal = { how: 'stop', rateHz: 1000, pauseMs: 50, firstPacketMs: 2 };
const spoken: Goal = { ...stop, how: 'announcement' };

t.test('spreadOf() takes nearest ranks', async (t) => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  t.same(spreadOf(hundred), { count: 100, p50: 50, p95: 95, max: 100 });
  t.same(spreadOf([7]), { count: 1, p50: 7, p95: 7, max: 7 });
  t.same(spreadOf([3, 1]), { count: 2, p50: 1, p95: 3, max: 3 });
  t.same(spreadOf([]), { count: 0, p50: NaN, p95: NaN, max: NaN });
});

t.test('sampleOf() says where a sender is, and which way packets go', async (t) => {
  const { flows, spoilt } = sample([flow({ from: 'sender1' }), flow({ from: 'sender2' }), flow({ from: 'machine', to: 'sender3' })]);
  t.same(flows.map(({ role, direction }) => `${direction} ${role}`), ['to source', 'to target', 'from third']);
  t.equal(spoilt, undefined);
});

t.test('sampleOf() does not let the instrument’s own faults count', async (t) => {
  const rows = [
    [{ criticalPauseMs: 2.1 }, /away for 2\.1 ms/],
    [{ socketDrops: 1 }, /buffers lost 1/],
    [{ backlogDrops: 3 }, /queues lost 3/],
    [{ fault: 'nothing was armed' }, /nothing was armed/],
  ] as const;
  for (const [fault, words] of rows) t.match(sampleOf({ ...windowOf([flow({ lost: 9 })]), ...fault }, move).spoilt, words);
  t.equal(sampleOf({ ...windowOf([]), criticalPauseMs: 2, longestPauseMs: 30 }, move).spoilt, undefined, 'a pause when nothing happened is no matter');
});

t.test('figuresOf() leaves out what is spoilt, and counts each flow', async (t) => {
  const spoilt: Sample = { ...sample([flow({ lost: 1000 })]), spoilt: 'away' };
  const figures = figuresOf([sample([flow({ lost: 1, lostAfter: 1 }), flow({ from: 'sender2', lost: 50, lostDuring: 50, lostBefore: 0 }), flow({ from: 'machine', to: 'sender1', lost: 4 })]), spoilt]);
  t.match(figures, { migrations: 2, judged: 1, spoilt: ['away'], lost: { p50: 1, max: 50 }, beyondPause: { max: 1 }, lostFrom: { count: 1, max: 4 } });
  t.match(figuresOf([sample([flow({ lost: 1 }), flow({ from: 'sender2', lost: 5 })])], 'target'), { lost: { count: 1, max: 5 } });
});

t.test('judge() with the stop: nothing lost as a rule, never more than two', async (t) => {
  const with_ = (...lost: readonly number[]): readonly string[] => judge(figuresOf(lost.map((count) => sample([flow({ lost: count })]))), stop);
  t.same(with_(...zeros(19), 2), [], 'one in twenty may lose two');
  t.match(with_(...zeros(19), 3), [/lost max is 3, and at most 2/]);
  t.match(with_(...zeros(8), 2, 2), [/lost p95 is 2/]);
  t.match(with_(1, 1, 1, 0), [/lost p50 is 1/]);
  t.same(judge(figuresOf([sample([flow({ lost: 0 })])]), { ...stop, rateHz: 10_000 }), []);
});

t.test('judge() without it: what was sent while the machine stood still may be lost', async (t) => {
  t.same(judge(figuresOf([sample([flow({ lost: 51, lostDuring: 50, lostAfter: 1 })])]), spoken), []);
  t.match(judge(figuresOf([sample([flow({ lost: 52, lostDuring: 50, lostBefore: 1, lostAfter: 1 })])]), spoken), [/beyond the pause p95 is 2/]);
});

t.test('judge() of a silent machine that is spoken for', async (t) => {
  const lossy = figuresOf([sample([flow({ lost: 60, lostDuring: 50, lostAfter: 10 }), flow({ from: 'machine', to: 'sender1', lost: 9 })])]);
  t.same(judge(lossy, { ...stop, how: 'told afterwards' }), []);
  t.match(judge(lossy, { ...stop, how: 'told afterwards', firstPacketMs: 0.1 }), [/first packet/]);
});

t.test('judge() of all else', async (t) => {
  const faultsOf = (...samples: readonly Sample[]): readonly string[] => judge(figuresOf(samples), { ...stop, pauseMs: 0 });
  t.match(faultsOf(sample([flow({ activationToFirstMs: 2.01 })])), [/first packet p95 is 2\.01/]);
  t.match(faultsOf(sample([{ ...flow({}), activationToFirstMs: undefined } as never])), [/unreached is 1/]);
  t.match(faultsOf(sample([flow({ early: 1 })])), [/early max is 1/]);
  t.match(faultsOf(sample([flow({}), flow({ from: 'machine', to: 'sender1', lost: 2 })])), [/lost from the machine p95 is 2/]);
  t.match(faultsOf({ ...sample([]), streams: [stream({ broken: 'Connection reset by peer' })] }), [/a connection ended: ask by IPv4: Connection reset/]);
  t.match(faultsOf({ ...sample([]), streams: [stream({ timeouts: 1 })] }), [/timeouts max is 1/]);
  t.same(judge(figuresOf([{ ...sample([]), streams: [stream({ timeouts: 1 })] }]), stop), [], 'with a pause TCP may wait');
  t.match(faultsOf({ ...sample([flow({})]), spoilt: 'away' }, { ...sample([flow({})]), spoilt: 'away' }, sample([flow({})])), [/only 1 of 3 migrations can be judged: away/]);
});

function sample(flows: Parameters<typeof windowOf>[0]): Sample {
  return sampleOf(windowOf(flows), move);
}

function zeros(count: number): readonly number[] {
  return Array.from({ length: count }, () => 0);
}
