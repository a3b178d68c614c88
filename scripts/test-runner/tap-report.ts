/** What one test file reported, read from the TAP (testanything.org, version 14) it wrote. */
import { Parser, type FinalResults, type Result } from 'tap-parser';
import { stringify } from 'yaml';

export interface FileReport {
  /** Assertions that held; a subtest counts by its assertions. */
  readonly passed: number;
  /** Everything that failed, each with its diagnosis; more may have failed than asserted, an exit status for example. */
  readonly failures: readonly string[];
  /** Name and reason of each test that was skipped or is still to do. */
  readonly skips: readonly string[];
  /** Comments of the tests, and what they printed beside TAP. */
  readonly remarks: readonly string[];
}

/** tap's own comments, which say nothing that the report does not. */
const routineComment = /^# (Subtest: |time=|\{ total: )/;

/** What the parser takes for the reason where there was no TAP at all. */
const noOutputReason = 'no tests found';

/** Reads one file's TAP as it comes. Use: write() the chunks, then finish() once. */
export class TapReader {
  #passed = 0;
  readonly #failures: string[] = [];
  readonly #skips: string[] = [];
  readonly #remarks: string[] = [];
  readonly #parser: Parser;

  constructor() {
    this.#parser = new Parser();
    this.#watch(this.#parser);
  }

  write(chunk: string): void {
    this.#parser.write(chunk);
  }

  /** @param ending how the process ended where that is a fault in itself, for example "exit status 1" */
  finish(ending?: string): FileReport {
    let results: FinalResults | undefined;
    this.#parser.once('complete', (final: FinalResults) => (results = final));
    this.#parser.end();
    if (results === undefined) this.#failures.push('the TAP has no end');
    else this.#judge(results, ending);
    return { passed: this.#passed, failures: this.#failures, skips: this.#skips, remarks: this.#remarks };
  }

  #watch(parser: Parser): void {
    parser.on('child', (child: Parser) => this.#watch(child));
    parser.on('assert', (result: Result) => this.#count(result));
    parser.on('comment', (text: string) => this.#remark(text));
    // Lines that are no TAP at all: what the test, or something it called, has printed.
    parser.on('extra', (text: string) => this.#remark(text));
  }

  #count(result: Result): void {
    // The line that closes a subtest repeats its verdict.
    if (result.closingTestPoint) return;
    if (result.skip !== false || result.todo !== false) {
      this.#skips.push(`${result.fullname}: ${reasonOf(result)}`);
    } else if (result.ok) {
      this.#passed += 1;
    } else {
      this.#failures.push(`${result.fullname}${renderDiagnosis(result.diag)}`);
    }
  }

  #remark(text: string): void {
    const line = text.trimEnd();
    if (line !== '' && !routineComment.test(line)) this.#remarks.push(line.replace(/^# /, ''));
  }

  #judge(results: FinalResults, ending: string | undefined): void {
    // An exit status of 1 is how tap says that an assertion failed; alone, or with anything else, it is news.
    if (ending !== undefined && (ending !== 'exit status 1' || this.#failures.length === 0)) this.#failures.push(ending);
    if (this.#failures.length > 0) return;
    const skipReason = results.plan.skipAll ? results.plan.skipReason.replace(/^SKIP\s*/i, '') : '';
    if (skipReason !== '' && skipReason !== noOutputReason) this.#skips.push(`the whole file: ${skipReason}`);
    else if (!results.ok) this.#failures.push(...results.failures.map((failure) => String(failure.tapError ?? 'the TAP is not in order')));
    else if (this.#passed + this.#skips.length === 0) this.#failures.push('the file asserts nothing');
  }
}

function reasonOf({ skip, todo }: Result): string {
  const reasons = [skip, todo].filter((reason) => typeof reason === 'string' && reason !== '');
  if (reasons.length > 0) return reasons.join(', ');
  return skip === false ? 'still to do' : 'no reason given';
}

/** A failed assertion's diagnosis as YAML, without the source excerpt: the file and the line are enough. */
function renderDiagnosis(diagnosis: unknown): string {
  if (diagnosis === null || typeof diagnosis !== 'object') return '';
  const { source: _source, ...rest } = diagnosis as Readonly<Record<string, unknown>>;
  return `\n${stringify(rest).trimEnd().replace(/^/gm, '  ')}`;
}
