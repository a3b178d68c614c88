/** Whether others work beside a call, and so whether it gains by waiting for them. */
import { nextTurn, pause } from './timer.ts';

/** The calls that one process answers. */
export interface Company {
  /** Whether no other call is under way: then nothing is gained by doing things together or aside. */
  isAlone(): boolean;
  /** Waits for those who are about to ask for the same thing. */
  gather(): Promise<void>;
}

/** From so many on the processor is what calls wait for, and a millisecond that saves it work is well spent. */
const crowd = 8;
const crowdGathersMs = 1;

/** A process that answers one call. */
export const alone: Company = { isAlone: () => true, gather: nextTurn };

/** A process that answers as many calls as the function says. */
export function companyOf(count: () => number): Company {
  return {
    isAlone: () => count() <= 1,
    gather: () => (count() < crowd ? nextTurn() : pause(crowdGathersMs)),
  };
}
