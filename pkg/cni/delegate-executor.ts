/** Running a plugin's executable: the seam of delegate.ts, and its real implementation. */
import { accessSync, constants, statSync } from 'node:fs';
import type { Readable } from 'node:stream';
import type { ReadonlyEnv } from './environment.ts';

export interface DelegateProcess {
  readonly file: string;
  readonly env: ReadonlyEnv;
  readonly stdin: string;
  /** Aborting it kills the process. */
  readonly signal: AbortSignal;
}

export interface DelegateExit {
  /** Null when a signal ended the process. */
  readonly exitCode: number | null;
  /** Name of that signal. */
  readonly killedBy: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface DelegateExecutor {
  /** True for a regular file that this process may execute. */
  isExecutable(file: string): boolean;
  /** Runs the file to its end. Rejects when it cannot be started, was aborted, or printed more than outputBytesMax. */
  run(plugin: DelegateProcess): Promise<DelegateExit>;
}

/** A result is a page of text; a plugin that prints more than this has lost its way. */
export const outputBytesMax: number = 1024 * 1024;

/** Of stderr only the beginning is kept; it goes into an error's details. */
const stderrBytesMax = 4096;

/** Processes of the operating system. */
export const processExecutor: DelegateExecutor = { isExecutable, run };

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** node:child_process is loaded here: an ADD without a delegated plugin, the usual one, does not pay for it. */
async function run(plugin: DelegateProcess): Promise<DelegateExit> {
  const { spawn } = await import('node:child_process');
  return new Promise((resolve, reject) => {
    const child = spawn(plugin.file, [], { env: plugin.env, stdio: 'pipe', signal: plugin.signal, killSignal: 'SIGKILL' });
    const abandon = (error: Error): void => {
      reject(error);
      child.kill('SIGKILL');
      // A child of the plugin may hold the pipes open after the plugin's death; nobody waits for it.
      child.stdout?.destroy();
      child.stderr?.destroy();
    };
    child.on('error', abandon);
    // It did not start: the error event follows. For want of descriptors (EMFILE) there are not even pipes.
    if (child.pid === undefined) return;
    const stdout = collect(child.stdout, outputBytesMax, () => abandon(new Error(`it printed more than ${outputBytesMax} bytes`)));
    const stderr = collect(child.stderr, stderrBytesMax);
    child.on('close', (exitCode, killedBy) => resolve({ exitCode, killedBy, stdout: stdout(), stderr: stderr() }));
    // A plugin may end without reading its configuration (EPIPE); its exit status tells the story.
    child.stdin.on('error', () => undefined);
    child.stdin.end(plugin.stdin);
  });
}

/** Gathers a stream's beginning, at most bytesMax bytes, and returns the function that reads it as text. */
function collect(stream: Readable, bytesMax: number, onOverflow?: () => void): () => string {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on('data', (chunk: Buffer) => {
    chunks.push(chunk.subarray(0, Math.max(0, bytesMax - bytes)));
    bytes += chunk.length;
    if (bytes > bytesMax) onOverflow?.();
  });
  return () => Buffer.concat(chunks).toString('utf8');
}
