/** What a call of the plugin may come to, as patterns for tap's t.match(). */

/** A pattern of CniOutcome. */
export interface OutcomePattern {
  readonly exitCode: number;
  readonly stdout?: string;
  readonly error?: Readonly<Record<string, unknown>>;
}

/** A verb that did what was asked; ADD's result is not looked at. */
export const succeeded: OutcomePattern = { exitCode: 0 };

/** A verb that did what was asked, and has nothing to say on stdout. */
export const done: OutcomePattern = { exitCode: 0, stdout: '' };

/** A verb that was refused with a CNI error object of the code, and with a message that has the words. */
export function refused(code: number, words: RegExp): OutcomePattern {
  return { exitCode: 1, error: { code, msg: words, cniVersion: /^(0\.4\.0|1\.[01]\.0)$/ } };
}

/** As refused(), with words that stand in the details: what to do about it. */
export function refusedWithRemedy(code: number, words: RegExp, remedy: RegExp): OutcomePattern {
  return { exitCode: 1, error: { code, msg: words, details: remedy } };
}
