/** What the daemon costs: its start, and memory and processor time while it lives. */
import { setTimeout as sleep } from 'node:timers/promises';
import { burst } from './bursts.ts';
import { Daemon } from './daemon.ts';
import type { BenchLab } from './lab.ts';
import { readCpuMs, readMemory, type Memory } from './proc.ts';
import type { Settings } from './settings.ts';

export interface Footprint {
  /** What the daemon has at rest after so many ADDs, and as many DELs; at first after none. */
  readonly memory: readonly { readonly calls: number; readonly memory: Memory }[];
  /** Processor time in ms of the idle daemon, and over how many ms. */
  readonly idleCpuMs: number;
  readonly idleMs: number;
}

/** Starts the daemon some times over. @returns the last one, which runs, and the milliseconds of each start */
export async function measureStarts(lab: BenchLab, { daemonStarts }: Settings): Promise<{ readonly daemon: Daemon; readonly startMs: readonly number[] }> {
  const startMs: number[] = [];
  // The first start unpacks the native addon, once for a machine: it is not counted.
  for (let number = 0; number < daemonStarts; number += 1) {
    const daemon = await Daemon.start(lab, { logLevel: 'info' });
    if (number > 0) startMs.push(daemon.startMs);
    await daemon.stop();
  }
  const daemon = await Daemon.start(lab, { logLevel: 'info' });
  return { daemon, startMs: [...startMs, daemon.startMs] };
}

export interface FootprintParts {
  readonly daemon: Daemon;
  /** Free ones, attached and detached together, again and again. */
  readonly containers: readonly string[];
}

/** Watches the daemon while it has nothing to do, and what calls leave in its memory. @throws Error when a call fails */
export async function measureFootprint({ spawner, launched }: BenchLab, { daemon, containers }: FootprintParts, { memoryCalls, memoryLooks, idleMs }: Settings): Promise<Footprint> {
  await daemon.settle();
  const cpuBefore = readCpuMs(daemon.pid);
  await sleep(idleMs);
  const idleCpuMs = readCpuMs(daemon.pid) - cpuBefore;
  const memory = [{ calls: 0, memory: readMemory(daemon.pid) }];
  let calls = 0;
  for (let look = 1; look <= memoryLooks; look += 1) {
    for (; calls < look * memoryCalls; calls += containers.length) {
      for (const verb of ['ADD', 'DEL'] as const) await burst(spawner, launched, { verb, containers, label: `memory${calls}-` });
    }
    await daemon.settle();
    memory.push({ calls, memory: readMemory(daemon.pid) });
  }
  return { memory, idleCpuMs, idleMs };
}
