/** Which boot of the machine this is, and whether a process that began something is still there to finish it. */
import { readFileSync } from 'node:fs';
import { pid } from 'node:process';
import { errnoOf, fileFailure } from './failure.ts';

/** A process, told from a later one with the same pid by when it started. Good within one boot. */
export interface Worker {
  readonly pid: number;
  /** Clock ticks since the boot, in decimal (proc_pid_stat(5), field 22). */
  readonly startTime: string;
}

/** What a line of /proc/pid/stat says about a process. */
export interface ProcessStat {
  /** One letter: R, S, D, Z… (proc_pid_stat(5), field 3). */
  readonly state: string;
  readonly startTime: string;
}

const procRemedy = 'weft needs the /proc of its own process namespace.';
const bootIdPath = '/proc/sys/kernel/random/boot_id';

/**
 * The kernel's random id of this boot (random(4)), without the line's end.
 * @throws WeftError ioFailure when /proc is not there.
 */
export function readBootId(path: string = bootIdPath): string {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch (error) {
    throw fileFailure(path, error, procRemedy);
  }
}

/** This process. @throws WeftError ioFailure when /proc is not there. */
export function currentWorker(): Worker {
  const stat = readProcessStat(pid);
  if (stat === undefined) throw fileFailure(`/proc/${pid}/stat`, new Error('no such process'), procRemedy);
  return { pid, startTime: stat.startTime };
}

/**
 * Whether the process still runs. A zombie does not: it will never do anything again, however long its parent leaves it.
 * @throws WeftError ioFailure when /proc cannot be read.
 */
export function isWorkerAlive(worker: Worker): boolean {
  const stat = readProcessStat(worker.pid);
  return stat !== undefined && stat.startTime === worker.startTime && stat.state !== 'Z' && stat.state !== 'X';
}

/**
 * Fields of a /proc/pid/stat line. The command's name, in parentheses, may itself hold spaces, parentheses and line ends:
 * only what follows the last `)` is safe to split.
 * @throws SyntaxError when the line is not one of /proc/pid/stat.
 */
export function parseProcessStat(line: string): ProcessStat {
  const afterName = line.slice(line.lastIndexOf(')') + 1).trim().split(' ');
  const [state, startTime] = [afterName[0], afterName[startTimeField - stateField]];
  if (!line.includes(')') || state?.length !== 1 || startTime === undefined || !/^[0-9]+$/.test(startTime)) {
    throw new SyntaxError(`a line of /proc/pid/stat must have the process's state and start time: current value is ${JSON.stringify(line)}`);
  }
  return { state, startTime };
}

/** Numbers of the fields, proc_pid_stat(5). */
const stateField = 3;
const startTimeField = 22;

function readProcessStat(processId: number): ProcessStat | undefined {
  const path = `/proc/${processId}/stat`;
  try {
    return parseProcessStat(readFileSync(path, 'latin1'));
  } catch (error) {
    // ESRCH: the process ended between open() and read().
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return undefined;
    throw fileFailure(path, error, procRemedy);
  }
}
