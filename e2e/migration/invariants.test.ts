import t from 'tap';
import { sampleOf, type Sample } from './figures.ts';
import { findBroken, silentOf } from './invariants.ts';
import { flow, stream, windowOf } from './test-windows.ts';

const move = { from: 1, to: 2, machine: 'machine', senders: [{ name: 'sender1', node: 1 }] };
const goal = { rateHz: 1000, pauseMs: 50 };

t.test('findBroken() forgives what a busy machine loses, and no more', async (t) => {
  t.same(findBroken([sample([flow({ lost: 2050, duplicated: 2050 })])], goal), []);
  t.same(findBroken([sample([]), sample([flow({ lost: 2051 })])], goal), ['migration 2: 2051 lost, from sender1 to machine by IPv4, and at most 2050 are forgiven']);
  t.match(findBroken([sample([flow({ duplicated: 2051 })])], goal), [/2051 duplicated/]);
  t.match(findBroken([sample([flow({ from: 'machine', to: 'sender1', lost: 2051 })])], goal), [/2051 lost, from machine/]);
  t.same(findBroken([sample([flow({ lost: 20_500 })])], { ...goal, rateHz: 10_000 }), []);
});

t.test('findBroken() counts how long the machine stood still, not how long it meant to', async (t) => {
  const slow = { ...sample([flow({ lost: 2900 })]), timeline: { stopped: 1000, resumed: 1900 } };
  t.same(findBroken([slow], goal), []);
});

t.test('findBroken() does not count what the instrument lost, but what it saw', async (t) => {
  const spoilt = { ...sample([flow({ lost: 9999, early: 1 })]), spoilt: 'away' };
  t.same(findBroken([spoilt], goal), ['migration 1: 1 came to the target before the activation, from sender1 to machine by IPv4']);
});

t.test('findBroken() of connections, and of what comes when it is over', async (t) => {
  t.match(findBroken([{ ...sample([]), streams: [stream({ broken: 'Connection reset by peer' })] }], goal), [/a connection ended, ask by IPv4: Connection reset/]);
  t.same(findBroken([{ ...sample([]), streams: [stream({ timeouts: 3, longestStallMs: 900 })] }], goal), [], 'TCP may wait');
  t.match(findBroken([{ ...sample([]), afterwards: { atSource: 2, silent: ['push by IPv6'] } }], goal), [/2 came to the source/, /nothing comes when it is over: push by IPv6/]);
  t.same(findBroken([{ ...sample([]), afterwards: { atSource: 0, silent: [] } }], goal), []);
});

t.test('silentOf() has flows and connections by which nothing came', async (t) => {
  t.same(silentOf({ flows: [flow({ sent: 9, lost: 8 }), flow({ sent: 9, lost: 9 })], streams: [] }), ['from sender1 to machine by IPv4']);
  const streams = [stream({}), stream({ requests: 0 }), stream({ kind: 'push', requests: 0 }), stream({ kind: 'pull', bytes: 0 })];
  t.same(silentOf({ flows: [], streams }), ['ask by IPv4', 'pull by IPv4']);
});

function sample(flows: Parameters<typeof windowOf>[0]): Sample {
  return sampleOf(windowOf(flows), move);
}
