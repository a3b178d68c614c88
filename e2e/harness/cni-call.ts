/** One call of a CNI plugin's executable, as a runtime makes it: environment, configuration on stdin, result on stdout. */
import { spawn } from 'node:child_process';
import { inNetns } from '../../pkg/testing/command.ts';

/** A plugin that hangs fails its test instead of stopping the run. */
const deadlineMs = 60_000;

export type Verb = 'ADD' | 'DEL' | 'CHECK' | 'GC' | 'STATUS' | 'VERSION';

/** A result in the form of specification 1.0.0 and later. */
export interface CniResult {
  readonly cniVersion: string;
  readonly interfaces?: readonly { readonly name: string; readonly mac?: string; readonly mtu?: number; readonly sandbox?: string }[];
  readonly ips?: readonly { readonly address: string; readonly gateway?: string; readonly interface?: number; readonly version?: string }[];
  readonly routes?: readonly { readonly dst: string; readonly gw?: string }[];
  readonly dns?: Readonly<Record<string, unknown>>;
  /** VERSION's answer. */
  readonly supportedVersions?: readonly string[];
}

export interface CniError {
  readonly cniVersion: string;
  readonly code: number;
  readonly msg: string;
  readonly details?: string;
}

/** What came of a call. */
export interface CniOutcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Wall time of the process, with the entry into the node's namespace. */
  readonly ms: number;
  /** stdout decoded, after exit status 0 and where there is anything. */
  readonly result?: CniResult;
  /** stdout decoded, after any other exit status. */
  readonly error?: CniError;
}

export interface CniCall {
  /** The namespace the runtime lives in: the node's. */
  readonly nodeNetns: string;
  readonly executable: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}

/** Calls the plugin and waits for it. Never rejects for what the plugin does; a deadline shows as exit code -1. */
export async function callPlugin({ nodeNetns, executable, env, stdin }: CniCall): Promise<CniOutcome> {
  const start = performance.now();
  const child = spawn('ip', inNetns(nodeNetns, executable), { env, stdio: 'pipe', timeout: deadlineMs, killSignal: 'SIGKILL' });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  // A plugin may refuse the call before it has read its stdin: the broken pipe is no fault.
  child.stdin.on('error', () => undefined);
  child.stdin.end(stdin);
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? -1));
  });
  const ms = performance.now() - start;
  const decoded = decode(output.stdout);
  if (exitCode === 0) return { exitCode, ...output, ms, ...(decoded === undefined ? {} : { result: decoded as CniResult }) };
  return { exitCode, ...output, ms, ...(decoded === undefined ? {} : { error: decoded as CniError }) };
}

/** What a failed call said, for a person. */
export function describeOutcome({ exitCode, error, stdout, stderr }: CniOutcome): string {
  const said = error === undefined ? `${stdout}${stderr}`.trim() : `code ${error.code}: ${error.msg} ${error.details ?? ''}`;
  return `exit status ${exitCode}, ${said}`;
}

function decode(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
