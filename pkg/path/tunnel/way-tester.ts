/** Tests of many ways, and of some again and again, for whoever is to act on what they find. */
import type { Address } from '../../netaddr/netaddr.ts';
import type { ProbeTunnel } from '../../overlay/probe.ts';
import { SystemCallError } from '../../sys/libc.ts';
import { pause } from '../../sys/timer.ts';
import type { Remedy } from './offload-remedy.ts';
import { testOffloads, type OffloadFinding } from './offload-test.ts';
import type { Question, Reply } from './station.ts';

/** An end of a probe tunnel. */
export interface TunnelEnd {
  readonly device: { readonly tunnel: ProbeTunnel };
  ask(peer: Address, question: Question, deadlineMs: number): Promise<Reply | undefined>;
}

/** A way to a peer. */
export interface Way {
  readonly end: TunnelEnd;
  readonly peer: Address;
}

/** A way, and what was found of it. */
export interface Tested extends Way, OffloadFinding {}

/** What has to be done for a way to be sound. */
export type Needed = Remedy | 'nothing' | 'unknown';

/** A busy machine may be late. */
const answerDeadlineMs = 2000;
/** Peers that are tested at one time. */
const testsAtOnce = 8;
/** Tests that must all fail, or all pass, before anything is changed. */
export const repetitions = 3;
const pauseMs = 300;
/** One for a daemon. */
export class WayTester {
  #isStopped = false;

  /** Tests that are under way are the last. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Tests each way once, several at a time. */
  async test(ways: readonly Way[]): Promise<Tested[]> {
    const waiting = [...ways.entries()];
    const found = new Map<number, Tested>();
    const work = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined && !this.#isStopped; next = waiting.shift()) {
        const [index, { end, peer }] = next;
        found.set(index, { end, peer, ...(await testOffloads((question) => askOnce(end, peer, question))) });
      }
    };
    await Promise.all(Array.from({ length: testsAtOnce }, work));
    return ways.map(({ end, peer }, index) => found.get(index) ?? { end, peer, verdict: 'unknown' });
  }

  /** Those that fail in each of the repetitions. */
  async confirm(tested: readonly Tested[]): Promise<readonly Tested[]> {
    let left: readonly Tested[] = tested.filter(isFailed);
    for (let repetition = 1; repetition < repetitions && left.length > 0 && !this.#isStopped; repetition += 1) {
      await pause(pauseMs);
      left = (await this.test(left)).filter(isFailed);
    }
    return this.#isStopped ? [] : left;
  }

  /** What has to be done for ways on whose ends nothing is. */
  async leastNeeded(ways: readonly Way[]): Promise<Needed> {
    let needed: Needed = 'nothing';
    for (let repetition = 0; repetition < repetitions; repetition += 1) {
      if (repetition > 0) await pause(pauseMs);
      const verdicts = (await this.test(ways)).map(({ verdict }) => verdict);
      if (verdicts.includes('checksum')) return 'checksum';
      if (this.#isStopped || verdicts.includes('unknown') || verdicts.includes('damaged')) return 'unknown';
      if (verdicts.includes('segmentation')) needed = 'segmentation';
    }
    return needed;
  }
}

/** Whether something has to be done. */
export function isFailed({ verdict }: OffloadFinding): boolean {
  return verdict === 'checksum' || verdict === 'segmentation';
}

/** A device that takes nothing more, or is gone, is as silent as a lost packet. */
async function askOnce(end: TunnelEnd, peer: Address, question: Question): Promise<Reply | undefined> {
  try {
    return await end.ask(peer, question, answerDeadlineMs);
  } catch (error) {
    if (error instanceof SystemCallError) return undefined;
    throw error;
  }
}
