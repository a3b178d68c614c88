/** What the tests of the daemon's parts share: a log that remembers, and a wait for what is to come true. */
import type { Log, LogFields, LogLevel } from '../log/log.ts';

/** A line as it was logged. */
export interface LoggedLine extends LogFields {
  readonly level: LogLevel;
  readonly message: string;
}

/** A log whose lines are in a list. */
export function recordingLog(): { readonly log: Log; readonly lines: LoggedLine[] } {
  const lines: LoggedLine[] = [];
  const at = (level: LogLevel) => (fields: LogFields, message: string): void => void lines.push({ ...fields, level, message });
  return { lines, log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } };
}

/** Waits for a condition. @throws Error when it does not come true */
export async function eventually(what: string, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`it should be that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
