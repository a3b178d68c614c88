import { hrtime, pid } from 'node:process';

/**
 * A suffix that no other file of this directory has: the process and the nanosecond. For temporary names, opened exclusively;
 * loading node:crypto for randomness would cost every CNI call several milliseconds.
 */
export function uniqueSuffix(): string {
  return `${pid}.${hrtime.bigint().toString(36)}`;
}
