import t from 'tap';
import { sampleOf } from './figures.ts';
import { renderCourses, renderGoals, renderStreams, type Row } from './table.ts';
import { flow, stream, windowOf } from './test-windows.ts';

const move = { from: 1, to: 2, machine: 'machine', senders: [{ name: 'sender1', node: 1 }, { name: 'sender2', node: 2 }] };

t.test('renderCourses() has a line for each course', async (t) => {
  const samples = [sampleOf(windowOf([flow({ lost: 2, lostAfter: 1, lostDuring: 1, activationToFirstMs: 12.34 }), flow({ from: 'machine', to: 'sender1', lost: 3 })]), move), sampleOf(windowOf([flow({})]), move)];
  const [head, rule, line] = renderCourses([row({ samples })]).split('\n');
  t.match(head, /^\| course \| migrations \| lost \| /);
  t.match(rule, /^\| --- \|( --- \|)+$/);
  t.equal(line, '| bridge | 2 | 0/2/2 | 0/1/1 | 3/3/3 | 0/0/0 | 0.50/12.3/12.3 | – | 1.50/1.50/1.50 | 2, 12.3 |');
});

t.test('renderCourses() says what is not judged, and what never came', async (t) => {
  const { activationToFirstMs: _, ...never } = flow({});
  const spoilt = { ...windowOf([flow({ lost: 99 })]), criticalPauseMs: 9 };
  const text = renderCourses([row({ samples: [sampleOf(spoilt, move), sampleOf(windowOf([never, flow({})]), move)] }), row({ title: 'cold', samples: [sampleOf(windowOf([never]), move)] })]);
  t.match(text, /\| bridge \| 1 of 2 \|.*\| 0\.50\/0\.50\/0\.50, 1 of 2 not within 10 s \|.*\| – \|/);
  t.match(text, /\| cold \| 1 \|.*\| not within 10 s \|.*\| 0, not within 10 s \|/);
});

t.test('renderCourses() in detail has a line for each sender', async (t) => {
  const text = renderCourses([row({ samples: [sampleOf(windowOf([flow({ lost: 1 }), flow({ from: 'sender2', lost: 5 })]), move)] })], { hasDetails: true });
  t.match(text, /… from the source’s node \| 1 \| 1\/1\/1/);
  t.match(text, /… from the target’s node \| 1 \| 5\/5\/5/);
  t.match(text, /… from the third node \| 1 \| – \|/);
});

t.test('renderStreams() has those with TCP', async (t) => {
  const samples = [{ ...sampleOf(windowOf([]), move), streams: [stream({ retransmitted: 2, longestStallMs: 104 }), stream({ broken: 'Broken pipe' })] }];
  t.equal(renderStreams([row({ samples }), row({ samples: [sampleOf(windowOf([flow({})]), move)] })]).split('\n').at(-1), '| bridge | 2 | 0/2/2 | 0/0/0 | 1 | 1.00/104/104 |');
  t.equal(renderStreams([]), '');
});

t.test('renderGoals() says which are not reached', async (t) => {
  t.equal(renderGoals(row({})), 'no goals');
  t.equal(renderGoals(row({ missed: [] })), 'goals reached');
  t.equal(renderGoals(row({ missed: ['lost is 3', 'first packet is 9'] })), 'goals NOT reached: lost is 3; first packet is 9');
});

function row(over: Partial<Row>): Row {
  return { title: 'bridge', samples: [], broken: [], patienceMs: 10_000, ...over };
}
