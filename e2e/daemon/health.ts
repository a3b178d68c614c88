/** Whether a daemon is as well after something as it was before. */
import type { Test } from 'tap';
import { describeOutcome } from '../harness/cni-call.ts';
import type { Daemon } from '../harness/daemon.ts';
import { readEndpoints, type Scene } from './scene.ts';

export interface Health {
  /** How many are open of each kind. */
  readonly descriptors: Readonly<Record<string, number>>;
  readonly memoryBytes: number;
}

/** Several garbage collections' worth: a leak of what a test sends is more. */
const growthBytesMax = 48 * 1024 * 1024;

/** Netlink sockets that are opened when several deletions meet, and kept. */
const socketsAside = 4;

/** After a first ADD and DEL, which opens what stays open. */
export async function measureHealth({ daemon, node, lab, conf }: Scene): Promise<Health> {
  const first = await lab.attach(node, { label: 'first', conf });
  await lab.detach(first);
  return { descriptors: countKinds(daemon.descriptors()), memoryBytes: (await daemon.status()).memoryBytes };
}

/** The daemon does calls, has no more connections and descriptors open than before, has not grown, and the node has no endpoint. */
export async function expectUnharmed(t: Test, { daemon, node, lab, conf }: Scene, before: Health): Promise<void> {
  await daemon.eventually('has closed all connections', () => daemon.connections() === 0);
  t.same(openBeyond(daemon, before), [], 'no more descriptors are open');
  const { memoryBytes } = await daemon.status();
  t.ok(memoryBytes < before.memoryBytes + growthBytesMax, `memory: ${before.memoryBytes} before, ${memoryBytes} after`);
  const last = await lab.attach(node, { label: 'last', conf });
  const removed = await lab.detach(last);
  t.match(removed, { exitCode: 0, stderr: '' }, `the daemon does calls: ${describeOutcome(removed)}`);
  t.same(daemon.log.filter(({ level }) => level === 'error'), [], 'no errors in the log');
  t.same(await readEndpoints(node), [], 'the ledger is empty');
}

/** Kinds of descriptor of which more are open than before, with both counts. */
function openBeyond(daemon: Daemon, { descriptors }: Health): readonly string[] {
  return Object.entries(countKinds(daemon.descriptors())).flatMap(([kind, count]) => {
    const before = descriptors[kind] ?? 0;
    const allowed = before + (kind === 'socket' ? socketsAside : 0);
    return count <= allowed ? [] : [`${kind}: ${before} before, ${count} now`];
  });
}

function countKinds(targets: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const target of targets) counts[target] = (counts[target] ?? 0) + 1;
  return counts;
}
