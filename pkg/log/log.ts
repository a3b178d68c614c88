/** What a daemon says of its work: one line an event, fields apart from words. */
import type { LogCode } from './codes.ts';

export type LogFields = Readonly<Record<string, unknown>>;

/** Levels by name, from talkative to terse. */
export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

/** What somebody must look at has a code: that of the log's catalogue, or of a failed call the number of its error. */
export type CodedFields<Level extends 'warn' | 'error'> = LogFields & { readonly code: LogCode<Level> | number };

/** Levels as syslog has them; debug lines are for whoever looks for a fault. */
export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: CodedFields<'warn'>, message: string): void;
  error(fields: CodedFields<'error'>, message: string): void;
}
