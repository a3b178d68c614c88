/** What is said to the spawner and what it answers, in bytes (spawner.c). Pure. */

/** One execution of a program without arguments. */
export interface Job {
  readonly executable: string;
  /** The whole of its environment. */
  readonly env: Readonly<Record<string, string>>;
  /** At most what fits into a pipe, 64 KiB. */
  readonly stdin: string;
}

export interface JobOutcome {
  /** Milliseconds from before the exec to the exit. */
  readonly ms: number;
  /** 128 and the signal's number for a process that was killed. */
  readonly exitStatus: number;
  /** Of stdout and stderr together, the first 64 KiB. */
  readonly output: string;
}

/** What came of jobs that were started at once, in the order in which they were given. */
export interface BurstOutcome {
  /** Milliseconds from before the first exec to after the last exit. */
  readonly ms: number;
  readonly jobs: readonly JobOutcome[];
}

const headerBytes = 12;
const nsInMs = 1e6;

/** @throws RangeError for text with a zero byte, which ends a string here */
export function encodeRequest(jobs: readonly Job[], deadlineMs: number): Buffer {
  const payload = Buffer.from(jobs.map(encodeJob).join(''));
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32LE(jobs.length, 0);
  header.writeUInt32LE(deadlineMs, 4);
  header.writeUInt32LE(payload.length, 8);
  return Buffer.concat([header, payload]);
}

function encodeJob({ executable, stdin, env }: Job): string {
  const strings = [executable, stdin, ...Object.entries(env).map(([name, value]) => `${name}=${value}`), ''];
  if (strings.some((string) => string.includes('\0'))) throw new RangeError(`a job must not contain a zero byte: ${executable}`);
  return strings.map((string) => `${string}\0`).join('');
}

/** Bytes of the answer that stands at the beginning, its own length included; undefined while that is not known. */
export function answerLength(bytes: Buffer): number | undefined {
  return bytes.length < 4 ? undefined : 4 + bytes.readUInt32LE(0);
}

/** Reads one whole answer. @throws RangeError when it is cut short */
export function decodeAnswer(bytes: Buffer): BurstOutcome {
  const jobs: JobOutcome[] = [];
  for (let at = headerBytes; at < bytes.length;) {
    const end = at + 16 + bytes.readUInt32LE(at + 12);
    if (end > bytes.length) throw new RangeError('the answer of the spawner is cut short');
    jobs.push({ ms: msAt(bytes, at), exitStatus: bytes.readUInt32LE(at + 8), output: bytes.toString('utf8', at + 16, end) });
    at = end;
  }
  return { ms: msAt(bytes, 4), jobs };
}

function msAt(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at)) / nsInMs;
}
