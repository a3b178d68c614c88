/** What the kernel alone needs for as many containers: bridged veths, made by one ip(8) and removed by one as a link group. */
import { basename } from 'node:path';
import { run } from '../../pkg/testing/command.ts';
import type { BurstTimes } from './bursts.ts';
import type { Contender } from './contender.ts';
import type { BenchLab } from './lab.ts';
import { median } from './statistics.ts';

/** Named for the table; it is executed by nobody. */
export const kernelAlone: Contender = { name: 'the kernel, by one ip(8)', executable: 'ip', conf: {}, env: {} };

const bridge = 'floor0';
/** Any but weft's. */
const group = 4711;

/** @returns medians in milliseconds @throws Error when a command fails */
export function measureKernel({ node }: BenchLab, containers: readonly string[], rounds: number): BurstTimes {
  const ip = (...lines: readonly string[]): number => {
    const begin = performance.now();
    run('ip', ['-n', node, '-batch', '-'], lines.join('\n'));
    return performance.now() - begin;
  };
  ip(`link add ${bridge} type bridge`, `link set ${bridge} up`);
  const taken = { add: [] as number[], del: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    taken.add.push(ip(...containers.flatMap((netns, index) => [
      `link add floor-p${index} group ${group} master ${bridge} type veth peer name floor netns ${basename(netns)}`, `link set floor-p${index} up`,
    ])));
    taken.del.push(ip(`link del group ${group}`));
  }
  ip(`link del ${bridge}`);
  return { add: median(taken.add), del: median(taken.del) };
}
