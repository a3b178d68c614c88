/** Randomness for tests that compare with a slow oracle: repeatable by its seed. */

/** A source of whole numbers from 0 to `below` − 1. */
export type RandomSource = (below: number) => number;

/** The seed of this run: WEFT_TEST_SEED, or a new one. A test prints it, so that a failure can be repeated. */
export function testSeed(): number {
  const given = process.env['WEFT_TEST_SEED'];
  return given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given);
}

/** The same numbers for the same seed, on every machine (mulberry32). */
export function randomFrom(seed: number): RandomSource {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
