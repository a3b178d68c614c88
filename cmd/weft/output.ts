/** How a command that reports something prints it: a table for people, JSON for programs. */
import { Option } from 'commander';
import { describeError } from '../../pkg/errors/weft-error.ts';
import { endWaiting } from './progress.ts';

const formats = ['table', 'json'] as const;

/** What the command line gives a command that reports something. */
export interface OutputOptions {
  readonly output: (typeof formats)[number];
}

/** `-o json`. */
export function outputOption(): Option {
  return new Option('-o, --output <format>', 'how to print it').choices(formats).default('table');
}

/** One report in its two forms. */
export interface Report {
  readonly value: unknown;
  /** Called only where a table is wanted. */
  readonly render: () => string;
}

/** Prints a report to stdout. */
export function printReport({ value, render }: Report, { output }: OutputOptions): void {
  endWaiting();
  // A reader that has seen enough, such as head(1), is no fault.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  process.stdout.write(output === 'json' ? `${JSON.stringify(value, undefined, 2)}\n` : render());
}

/** Says something on stderr that the report itself has no place for. */
export function printNote(message: string): void {
  endWaiting();
  process.stderr.write(`weft: ${message}\n`);
}

/** Runs a command; what it throws is said, and is exit status 1. */
export async function reportFailures(run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    printNote(describeError(error));
    process.exitCode = 1;
  } finally {
    endWaiting();
  }
}
