/** What a daemon costs: processor time and writes. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Daemon } from '../harness/daemon.ts';

/** Of a clock tick of /proc, in milliseconds: USER_HZ is 100 on every architecture that Node runs on (proc_pid_stat(5)). */
const tickMs = 10;

/** Processor time that the daemon has used since its start, in milliseconds. */
export function cpuMs({ pid }: Daemon): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // Behind the command's name, which may hold spaces: field 3 is the first; utime and stime are 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * tickMs;
}

/** The ledger's files as they are: whether anything has been written shows in them. */
export function ledgerFiles({ node }: Daemon): unknown {
  return ['ledger.db', 'ledger.db-wal'].map((name) => {
    const { size, mtimeMs, ino } = statSync(join(node.stateDirectory, name));
    return { name, size, mtimeMs, ino };
  });
}
