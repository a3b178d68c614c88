/** What the kernel says of a process: memory and processor time (proc(5)). */
import { readFileSync } from 'node:fs';

/** USER_HZ, in which /proc counts on every architecture (include/asm-generic/param.h): 100 to the second. */
const ticksPerSecond = 100;

/** Memory in bytes. */
export interface Memory {
  /** All that is resident: VmRSS. */
  readonly resident: number;
  /** Of that, what is the process's own and no file's: RssAnon. */
  readonly anonymous: number;
}

/** From the text of /proc/PID/status. @throws RangeError when a line is missing */
export function parseMemory(status: string): Memory {
  return { resident: bytesOf(status, 'VmRSS'), anonymous: bytesOf(status, 'RssAnon') };
}

function bytesOf(status: string, key: string): number {
  const kibibytes = new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1];
  if (kibibytes === undefined) throw new RangeError(`/proc/PID/status must have a line ${key}: has the process ended?`);
  return Number(kibibytes) * 1024;
}

/** Milliseconds of processor time, user and kernel, of all threads, from the text of /proc/PID/stat. @throws RangeError when it is none */
export function parseCpuMs(stat: string): number {
  // The name of the program is in brackets, and may itself have brackets and blanks: fields are counted from the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // Fields 14 and 15 of proc(5), the third being the first behind the name.
  const ticks = Number(fields[11]) + Number(fields[12]);
  if (!Number.isInteger(ticks)) throw new RangeError(`/proc/PID/stat must have the fields utime and stime: current text is ${JSON.stringify(stat)}`);
  return (ticks * 1000) / ticksPerSecond;
}

/** @throws Error when the process has ended */
export function readMemory(pid: number): Memory {
  return parseMemory(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

/** In steps of 10 ms. @throws Error when the process has ended */
export function readCpuMs(pid: number): number {
  return parseCpuMs(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}
