/** The command line as a person types it on a node of the lab. */
import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import { inNetns } from '../../pkg/testing/command.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { weftExecutable } from '../harness/weft-executable.ts';

const deadlineMs = 30_000;

/** What came of a command. */
export interface CommandOutcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where the node keeps things. */
export function placesOf({ stateDirectory }: LabNode): { readonly state: string; readonly run: string; readonly config: string; readonly socket: string } {
  const directory = resolve(stateDirectory, '..');
  return { state: stateDirectory, run: join(directory, 'run'), config: join(directory, 'weft.yaml'), socket: join(directory, 'run/weft.sock') };
}

export interface CommandOptions {
  /** Win over the node's own. */
  readonly variables?: Readonly<Record<string, string>>;
  /** @default the executable under test */
  readonly executable?: string;
}

/** Runs `weft` with the arguments on the node, in its namespace and with its directories. */
export async function runWeft(node: LabNode, args: readonly string[], { variables = {}, executable = weftExecutable }: CommandOptions = {}): Promise<CommandOutcome> {
  const { state, run, config } = placesOf(node);
  const env = { PATH: process.env['PATH'] ?? '', WEFT_STATE_DIR: state, WEFT_RUN_DIR: run, WEFT_CONFIG: config, ...variables };
  const child = spawn('ip', inNetns(node.netns, executable, ...args), { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: deadlineMs, killSignal: 'SIGKILL' });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  const exitCode = await new Promise<number>((settle, reject) => {
    child.once('error', reject);
    child.once('close', (code) => settle(code ?? -1));
  });
  return { exitCode, ...output };
}
