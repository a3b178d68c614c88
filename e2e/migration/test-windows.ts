/** Windows as the mover reports them, for tests of what is made of them. */
import type { MovedFlow, MovedStream, Window } from './mover.ts';

/** A flow that lost nothing, unless told otherwise. */
export function flow(over: Partial<MovedFlow>): MovedFlow {
  return {
    from: 'sender1', to: 'machine', family: 4, sent: 500, lost: 0, lostBefore: 0, lostDuring: 0, lostAfter: 0, lostActivated: 0, duplicated: 0, reordered: 0, refused: 0,
    dead: 0, early: 0, longestSilenceMs: 1.5, silenceAtMs: 0, activationToFirstMs: 0.5, runs: [], ...over,
  };
}

/** A connection that nothing befell, unless told otherwise. */
export function stream(over: Partial<MovedStream>): MovedStream {
  return { peer: 'sender3', machine: 'machine', family: 4, kind: 'ask', bytes: 1000, requests: 10, retransmitted: 0, timeouts: 0, slowestMs: 1, longestStallMs: 1, ...over };
}

/** A window in which the mover was always there. */
export function windowOf(flows: readonly MovedFlow[]): Window {
  return { flows, streams: [], timeline: { stopped: 1000, resumed: 1050 }, answer: '', socketDrops: 0, backlogDrops: 0, longestPauseMs: 0.4, criticalPauseMs: 0.4 };
}
