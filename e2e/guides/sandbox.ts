/** The machine that a page is tried on: sandbox.sh. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { temporaryDirectory } from '../../pkg/testing/directory.ts';
import { uniqueName, type TeardownScope } from '../../pkg/testing/netns.ts';
import { removeCgroups } from '../runtimes/cgroups.ts';
import { isAsShown, type Command, type Page } from './page.ts';

const project = resolve(import.meta.dirname, '../..');
const deadlineMs = 120_000;

/** What came of a command of a page. */
export interface Outcome {
  /** Of its block in the page. */
  readonly line: number;
  readonly command: Command;
  /** stdout and stderr, as they came. */
  readonly printed: string;
  /** Undefined where the shell ended with it, or was never as far. */
  readonly status: number | undefined;
}

/** Types a page's commands, the first to the last, on a machine of their own, which is gone afterwards. @returns what came of each */
export async function tryPage(scope: TeardownScope, page: Page): Promise<readonly Outcome[]> {
  const directory = temporaryDirectory(scope);
  const typed = page.steps.flatMap(({ line, commands }) => commands.map((command) => ({ line, command })));
  const files = typed.map(({ command }, index) => {
    const kind = command.output === undefined ? 'script' : 'transcript';
    const base = join(directory, `${String(index).padStart(4, '0')}.${kind}`);
    writeFileSync(`${base}.sh`, `${command.text}\n`);
    return base;
  });
  const name = uniqueName('guide');
  // Of containers whose end nobody has waited for.
  scope.teardown(() => removeCgroups(name));
  await runSandbox(directory, name);
  return typed.map(({ line, command }, index) => {
    const base = files[index] ?? '';
    return { line, command, printed: readText(`${base}.out`), status: existsSync(`${base}.status`) ? Number(readText(`${base}.status`)) : undefined };
  });
}

/** The reason why a command did not do what the page says, or undefined. */
export function faultOf({ line, command, printed, status }: Outcome): string | undefined {
  const words = `line ${line}: ${command.text}\n${printed}`;
  if (status === undefined) return `the shell ended with, or before, the block of ${words}`;
  if (command.output === undefined) return undefined;
  if (isAsShown(command.output, printed)) return undefined;
  return `it should print:\n${command.output}\nand prints, with status ${status}, in the block of ${words}`;
}

/** @throws Error with what it wrote when it cannot be made */
async function runSandbox(steps: string, name: string): Promise<void> {
  const namespaces = ['--mount', '--net', '--pid', '--uts', '--fork', '--kill-child=SIGKILL'];
  // The pipe to its stdin is a leash: it breaks with this process even when that is killed.
  const child = spawn('unshare', [...namespaces, join(import.meta.dirname, 'sandbox.sh'), project, steps, name], { stdio: 'pipe', timeout: deadlineMs, killSignal: 'SIGKILL' });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (printed += text));
  await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (!existsSync(join(steps, 'install.out'))) throw new Error(`the sandbox could not be made:\n${printed}`);
}

function readText(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}
