/** What a daemon says of its work: one line an event, fields apart from words. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Levels by name, from talkative to terse. */
export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

/** Levels as syslog has them; debug lines are for whoever looks for a fault. */
export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}
