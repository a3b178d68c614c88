/** How much is measured. Everything follows from the number of rounds. Pure. */

const roundsByDefault = 200;
const roundsMin = 5;

export interface Settings {
  /** Of single calls. */
  readonly rounds: number;
  /** weft alone takes part in every n-th of them. */
  readonly aloneEvery: number;
  readonly burstRounds: number;
  /** Calls at once. */
  readonly burstSize: number;
  /** ADDs, and as many DELs, from one look at the daemon's memory to the next. */
  readonly memoryCalls: number;
  /** Looks at the memory, after the one at the idle daemon. */
  readonly memoryLooks: number;
  /** Endpoints on the node, in ascending order. */
  readonly endpoints: readonly number[];
  readonly endpointRounds: number;
  /** The same with Open vSwitch, where a round takes most of a second once there are many. */
  readonly ovsEndpoints: readonly number[];
  readonly ovsLoadRounds: number;
  /** Endpoints elsewhere that the switch knows, beside the fewest on the node. */
  readonly ovsRemotes: number;
  readonly daemonStarts: number;
  readonly throughputRounds: number;
  readonly throughputSeconds: number;
  readonly idleMs: number;
}

/** @param text of WEFT_BENCH_ROUNDS; absent or empty: 200. @throws RangeError when it is no such number */
export function readSettings(text: string | undefined): Settings {
  const rounds = text === undefined || text === '' ? roundsByDefault : Number(text);
  if (!Number.isInteger(rounds) || rounds < roundsMin) throw new RangeError(`WEFT_BENCH_ROUNDS must be a whole number from ${roundsMin} up: current value is ${text}`);
  const share = (divisor: number, least: number): number => Math.max(least, Math.round(rounds / divisor));
  return {
    rounds,
    aloneEvery: Math.min(10, Math.max(1, Math.floor(rounds / 2))),
    burstRounds: share(20, 2),
    burstSize: 64,
    memoryCalls: rounds * 5,
    memoryLooks: 3,
    endpoints: [10, 100, 900],
    endpointRounds: share(4, 5),
    ovsEndpoints: [10, 100, 500],
    ovsLoadRounds: share(8, 5),
    ovsRemotes: 10_000,
    daemonStarts: 5,
    throughputRounds: share(40, 2),
    throughputSeconds: 2,
    idleMs: 5000,
  };
}
