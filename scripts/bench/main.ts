/**
 * `make bench`: what an ADD and a DEL cost, beside the reference plugins in the same run. The contenders take turns call by
 * call, so that whatever else the machine does hits both; only the ratios are worth quoting.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { callPlugin, referenceBridge, weftAlone, type Contender } from './contender.ts';
import { makeLab } from './lab.ts';
import { summarise, type Summary } from './statistics.ts';

const rounds = Number(process.env['WEFT_BENCH_ROUNDS'] ?? 100);
const warmUpRounds = 5;
const runDeadlineMs = 15 * 60_000;
const executable = process.env['WEFT_BIN'] ?? join(import.meta.dirname, '../../dist/weft');
/** Set in the process that measures, which runs inside the node's namespace. */
const insideVariable = 'WEFT_BENCH_INSIDE';

interface Samples {
  readonly add: number[];
  readonly del: number[];
}

if (process.env[insideVariable] === undefined) runInNode();
else measure(JSON.parse(process.env[insideVariable]) as { directory: string; containers: string[] });

function runInNode(): void {
  if (process.getuid?.() !== 0) throw new Error('make bench needs root: it makes network namespaces');
  for (const needed of [executable, '/usr/lib/cni/bridge']) if (!existsSync(needed)) throw new Error(`${needed} is missing: run make build and scripts/setup.sh`);
  const lab = makeLab(4);
  try {
    const inside = JSON.stringify({ directory: lab.directory, containers: lab.containers });
    execFileSync('ip', ['netns', 'exec', lab.node, process.execPath, import.meta.filename], { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, [insideVariable]: inside }, timeout: runDeadlineMs });
  } finally {
    lab.remove();
  }
}

/** One resident container each keeps the bridges: the usual case is a node that has containers. */
function measure({ directory, containers }: { directory: string; containers: string[] }): void {
  const contenders = [weftAlone(executable, directory), referenceBridge(directory)];
  contenders.forEach((contender, index) => callPlugin(contender, { verb: 'ADD', containerId: `resident${index}`, netns: containers[index] as string }));
  const samples = contenders.map((): Samples => ({ add: [], del: [] }));
  for (let round = -warmUpRounds; round < rounds; round += 1) {
    contenders.forEach((contender, index) => {
      const call = { containerId: `c${round + warmUpRounds}`, netns: containers[contenders.length + index] as string };
      const add = callPlugin(contender, { verb: 'ADD', ...call });
      const del = callPlugin(contender, { verb: 'DEL', ...call });
      if (round < 0) return;
      samples[index]?.add.push(add);
      samples[index]?.del.push(del);
    });
  }
  contenders.forEach((contender, index) => callPlugin(contender, { verb: 'DEL', containerId: `resident${index}`, netns: containers[index] as string }));
  printTable(contenders, samples);
}

function printTable(contenders: readonly Contender[], samples: readonly Samples[]): void {
  console.log(`${rounds} rounds, contenders in turn; milliseconds for one process from exec to exit\n`);
  console.log(row(['', 'ADD p50', 'ADD p95', 'DEL p50', 'DEL p95']));
  const summaries = samples.map(({ add, del }) => [summarise(add), summarise(del)] as const);
  contenders.forEach((contender, index) => console.log(row([contender.name, ...figures(summaries[index]).map((figure) => figure.toFixed(1))])));
  const [own, reference] = summaries.map(figures);
  if (own === undefined || reference === undefined) return;
  console.log(row(['ratio', ...own.map((figure, index) => `${(figure / (reference[index] ?? Number.NaN)).toFixed(2)} ×`)]));
}

function figures(summaries: readonly Summary[] | undefined): number[] {
  return (summaries ?? []).flatMap(({ p50, p95 }) => [p50, p95]);
}

function row(cells: readonly string[]): string {
  return cells.map((cell, index) => (index === 0 ? cell.padEnd(20) : cell.padStart(10))).join('');
}
