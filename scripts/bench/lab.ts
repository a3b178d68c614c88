/**
 * The place of the measurement: one node with an underlay link, and container namespaces.
 *
 *     wtbN-node: u0 10.200.0.1/24 ── u1        containers: wtbN-0, wtbN-1, …
 *
 * The measuring process itself runs inside the node's namespace, so that a plugin is executed as a runtime executes it and
 * nothing else is in the figure.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const commandDeadlineMs = 10_000;

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'], timeout: commandDeadlineMs });
}

export interface BenchLab {
  readonly node: string;
  readonly directory: string;
  /** Paths of the containers' namespaces. */
  readonly containers: readonly string[];
  remove(): void;
}

/** Makes the namespaces; remove() takes everything away again. */
export function makeLab(containerCount: number): BenchLab {
  const prefix = `wtb${process.pid}`;
  const node = `${prefix}-node`;
  const names = Array.from({ length: containerCount }, (_, index) => `${prefix}-${index}`);
  const directory = mkdtempSync(join(tmpdir(), 'weft-bench-'));
  const made: string[] = [];
  const remove = (): void => {
    for (const name of made.splice(0).reverse()) ip('netns', 'del', name);
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    for (const name of [node, ...names]) {
      ip('netns', 'add', name);
      made.push(name);
    }
    ip('-n', node, 'link', 'add', 'u0', 'type', 'veth', 'peer', 'name', 'u1');
    ip('-n', node, 'address', 'add', '10.200.0.1/24', 'dev', 'u0');
    for (const link of ['lo', 'u0', 'u1']) ip('-n', node, 'link', 'set', link, 'up');
  } catch (error) {
    remove();
    throw error;
  }
  return { node, directory, containers: names.map((name) => `/var/run/netns/${name}`), remove };
}
