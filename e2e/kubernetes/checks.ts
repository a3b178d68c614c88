/** What was looked at, and whether it was as it should be: printed as it comes, counted at the end. */
import { isDeepStrictEqual } from 'node:util';

export class Checks {
  passed = 0;
  failed = 0;
  readonly #print: (line: string) => void;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  /** @param found what there is instead, for the reader */
  check(what: string, isSo: boolean, found = ''): void {
    if (isSo) this.passed += 1;
    else this.failed += 1;
    this.#print(isSo ? `   ok      ${what}` : `   FAILED  ${what}${found === '' ? '' : `: ${found}`}`);
  }

  /** That two values are equal all the way down. */
  same(what: string, found: unknown, wanted: unknown): void {
    this.check(what, isDeepStrictEqual(found, wanted), `there is ${JSON.stringify(found)}, and should be ${JSON.stringify(wanted)}`);
  }

  /** That a list of faults is empty. */
  none(what: string, faults: readonly string[]): void {
    this.check(what, faults.length === 0, faults.join('; '));
  }
}
