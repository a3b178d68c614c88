/** Running the system's own tools from tests, with a deadline. */
import { execFileSync } from 'node:child_process';

const deadlineMs = 30_000;
const outputBytesMax = 64 * 1024 * 1024;

/**
 * Runs a program to its end.
 * @returns its stdout as text
 * @throws Error with the command and what it wrote to stderr, when it exits with another status than 0 or is late
 */
export function run(file: string, args: readonly string[], input = ''): string {
  try {
    return execFileSync(file, args, { input, encoding: 'utf8', timeout: deadlineMs, maxBuffer: outputBytesMax, stdio: 'pipe' });
  } catch (error) {
    const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    throw new Error(`${[file, ...args].join(' ')} failed: ${stderr}`, { cause: error });
  }
}

/** The arguments of `ip` that run a program inside a named network namespace. `ip` becomes the program: same process id. */
export function inNetns(netns: string, ...command: readonly string[]): readonly string[] {
  return ['netns', 'exec', netns, ...command];
}

/** Runs a program inside a named network namespace. @throws Error as run() does */
export function runIn(netns: string, ...command: readonly string[]): string {
  return run('ip', inNetns(netns, ...command));
}
