/**
 * Runs test files, each in a process of its own, and counts what they assert.
 *
 *     node scripts/run-tests.ts [file or folder …]      default: all of them
 *
 * tap's own runner is not used: its TypeScript support looks for a compiler API that TypeScript 7 no longer has, and Node
 * needs none. The last line is the counts. Exit status 1 when anything failed, or when there was nothing to run.
 */
import { resolve } from 'node:path';
import { endRunningFiles, runTestFile, type FileRun } from './test-runner/run-file.ts';
import { filesToRunAgain } from './test-runner/second-run.ts';
import { planTests } from './test-runner/test-plan.ts';

const root = resolve(import.meta.dirname, '..');
const concurrency = 2;
/** The slowest end-to-end files take three minutes on two cores. */
const deadlineMs = 10 * 60_000;

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    endRunningFiles();
    process.exitCode = 1;
  });
}
await main(process.argv.slice(2));

async function main(selections: readonly string[]): Promise<void> {
  const plan = planTests(root, selections);
  const first = [...(await runAll(plan.parallel, concurrency)), ...(await runAll(plan.serial, 1))];
  const second = await runAgain(first);
  const runs = first.map((run) => second.find(({ path }) => path === run.path) ?? run);

  const unsteady = second.filter(({ failures }) => failures.length === 0);
  if (unsteady.length > 0) print(`\nUnsteady, failed beside others and passed alone:\n${unsteady.map(({ path }) => `  ${path}`).join('\n')}`);
  const failed = runs.filter(({ failures }) => failures.length > 0);
  if (runs.length === 0) print(`No test file is called ${selections.join(' or ')}`);
  if (failed.length > 0) print(`\nFailed:\n${failed.map(({ path }) => `  ${path}`).join('\n')}`);
  print(`\n${renderCounts(runs)}`);
  if (failed.length > 0 || runs.length === 0) process.exitCode = 1;
}

/** @returns the second runs of those that get one */
async function runAgain(runs: readonly FileRun[]): Promise<readonly FileRun[]> {
  const paths = filesToRunAgain(runs);
  if (paths.length > 0) print('\nOnce more, alone:');
  return runAll(paths, 1);
}

async function runAll(paths: readonly string[], workers: number): Promise<readonly FileRun[]> {
  const queue = [...paths];
  const runs: FileRun[] = [];
  const work = async (): Promise<void> => {
    for (let path = queue.shift(); path !== undefined && process.exitCode === undefined; path = queue.shift()) {
      const run = await runTestFile(path, { root, deadlineMs });
      runs.push(run);
      print(renderRun(run));
    }
  };
  await Promise.all(Array.from({ length: workers }, work));
  return runs;
}

function renderRun({ path, passed, failures, skips, remarks, stderr, durationMs }: FileRun): string {
  const isOk = failures.length === 0;
  const counts = [`${passed} passed`];
  if (!isOk) counts.push(`${failures.length} failed`);
  if (skips.length > 0) counts.push(`${skips.length} skipped`);
  const lines = [`${isOk ? 'ok    ' : 'FAILED'} ${path}: ${counts.join(', ')} (${(durationMs / 1000).toFixed(1)} s)`];
  lines.push(...remarks.map(indent));
  lines.push(...skips.map((skip) => indent(`skipped: ${skip}`)));
  lines.push(...failures.map((failure) => indent(`failed: ${failure}`)));
  if (!isOk && stderr.trim() !== '') lines.push(indent(`stderr:\n${stderr.trimEnd()}`));
  return lines.join('\n');
}

function indent(text: string): string {
  return text.replace(/^/gm, '       ');
}

function renderCounts(runs: readonly FileRun[]): string {
  const sum = (count: (run: FileRun) => number): number => runs.reduce((total, run) => total + count(run), 0);
  return `${sum(({ passed }) => passed)} passed, ${sum(({ failures }) => failures.length)} failed, ${sum(({ skips }) => skips.length)} skipped`;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
