/** Executing the launcher as a container runtime does, with directories of the test's own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { temporaryDirectory } from '../../pkg/testing/directory.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';

/** The launcher under test: $WEFT_LAUNCHER, or dist/cni/weft of this checkout. */
export const launcherExecutable: string = process.env['WEFT_LAUNCHER'] ?? resolve(import.meta.dirname, '../../dist/cni/weft');
export const skipLauncher: string | false = skipUnless({ executables: [launcherExecutable] });
/** For tests in which /usr/local/bin must be another than the machine's. */
export const skipLauncherUnlessRoot: string | false = skipUnless({ root: true, tools: ['unshare', 'mount'], executables: [launcherExecutable] });

/** A launcher that hangs fails its test instead of stopping the run. */
const deadlineMs = 60_000;

/** Where one launcher's world is. */
export interface Place {
  readonly directory: string;
  readonly runDirectory: string;
  readonly stateDirectory: string;
}

/** What to give the launcher over a usual ADD. */
export interface Launch {
  /** Variables to add, to replace, or (undefined) to take away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** @default conf */
  readonly stdin?: string | Buffer;
  readonly args?: readonly string[];
  /** Shell commands before the launcher takes the shell's place, in a mount namespace of their own, where /usr/local/bin is empty. Needs root. */
  readonly before?: string;
  /** Called with the running process; what it gives to stdin and stdout is its own affair. */
  readonly whileRunning?: (child: ChildProcess) => void;
}

export interface Launched {
  readonly exitCode: number;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** The configuration of a call that says nothing about it. `cat` in weft's place gives it back: then weft did the call. */
export const conf = '{"cniVersion":"1.0.0","name":"blue","type":"weft"}';

/** A matcher for a call that was done by `cat` in weft's place. */
export const doneByWeft: { readonly exitCode: number; readonly stdout: Buffer } = { exitCode: 0, stdout: Buffer.from(conf) };

/** Directories that go away with the scope. */
export function createPlace(scope: TeardownScope): Place {
  const directory = temporaryDirectory(scope);
  const [runDirectory, stateDirectory] = [join(directory, 'run'), join(directory, 'state')];
  mkdirSync(runDirectory, { mode: 0o700 });
  return { directory, runDirectory, stateDirectory };
}

/** The environment of an ADD, as this place's launcher gets it, with `cat` for weft. */
export function environmentOf(place: Place, over: Launch['env'] = {}): Record<string, string> {
  const usual = {
    PATH: '/usr/bin:/bin',
    CNI_COMMAND: 'ADD',
    CNI_CONTAINERID: 'c1',
    CNI_NETNS: '/proc/self/ns/net',
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/opt/cni/bin',
    WEFT_RUN_DIR: place.runDirectory,
    WEFT_STATE_DIR: place.stateDirectory,
    WEFT_EXE: '/bin/cat',
  };
  return Object.fromEntries(Object.entries({ ...usual, ...over }).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
}

/** Executes the launcher and waits for it. Never rejects for what it does. */
export async function launch(place: Place, { env, stdin = conf, args = [], before, whileRunning }: Launch = {}): Promise<Launched> {
  const command = [launcherExecutable, ...args];
  const inShell = ['/usr/bin/unshare', '-m', '/bin/sh', '-euc', `mount -t tmpfs none /usr/local/bin; ${before}\nexec "$@"`, 'sh'];
  const [file = '', ...rest] = before === undefined ? command : [...inShell, ...command];
  const child = spawn(file, rest, { env: environmentOf(place, env), stdio: 'pipe', timeout: deadlineMs, killSignal: 'SIGKILL' });
  const stdout: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // The launcher stops reading when there is too much.
  child.stdin.on('error', () => undefined);
  if (whileRunning === undefined) child.stdin.end(stdin);
  else whileRunning(child);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ exitCode: code ?? -1, signal, stdout: Buffer.concat(stdout), stderr }));
  });
}

/** stdout as a CNI error object, if it is one. */
export function errorOf({ stdout }: Launched): unknown {
  return JSON.parse(stdout.toString('utf8'));
}

/** The DELs written down in a directory: file name and content. Files that are still being written have other names. */
export function pendingDels(directory: string): readonly { readonly name: string; readonly del: Readonly<Record<string, unknown>> }[] {
  const folder = join(directory, 'pending-dels');
  return readdirSync(folder).sort().map((name) => ({ name, del: JSON.parse(readFileSync(join(folder, name), 'utf8')) as Record<string, unknown> }));
}

/** For failed assertions. */
export function describe({ exitCode, signal, stdout, stderr }: Launched): string {
  return `exit status ${exitCode} ${signal ?? ''}, ${stdout.toString('utf8', 0, 300)} ${stderr}`.trim();
}
