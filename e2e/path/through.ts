/** What follows from a finding: the containers' MTU, and TCP through the narrow path. For narrow.e2e.test.ts, once MTUs of running containers follow. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'tap';
import { ping, readInterface } from '../harness/container.ts';
import { startReceiver, transfer } from '../ovs/transfer.ts';
import type { PathScene } from './scene.ts';

const deadlineMs = 60_000;
/** What the encapsulation adds, and IPv4 and ICMP inside. */
const overheadBytes = { 4: 50, 6: 70 } as const;
const echoBytes = 28;

export interface Through {
  /** What the path carries. */
  readonly pathBytes: number;
  /** Of the VTEPs' addresses. */
  readonly family: 4 | 6;
  /** For 10 minutes the kernel remembers what a router has said (net.ipv4.route.mtu_expires), and says it to containers that send more. @default false */
  readonly isRemembered?: boolean;
}

/** Waits until both containers have the MTU that such a path leaves them, and sends through it: 1 MiB over TCP, and a full-size packet that must not be fragmented. */
export async function checkThrough(t: Test, { guests }: PathScene, { pathBytes, family, isRemembered = false }: Through): Promise<void> {
  const mtu = pathBytes - overheadBytes[family];
  const startedAt = performance.now();
  while (guests.some(({ netns }) => readInterface(netns).mtu !== mtu)) {
    if (performance.now() - startedAt > deadlineMs) throw new Error(`the containers' MTU should be ${mtu}: ${guests.map(({ netns }) => readInterface(netns).mtu)}`);
    await delay(20);
  }
  t.comment(`the containers have ${mtu} bytes after ${Math.round(performance.now() - startedAt)} ms`);
  const [one, two] = guests;
  await startReceiver(t, two.netns);
  for (const address of [two.participant.ipv4, two.participant.ipv6]) t.equal(await transfer(one.netns, address), 'whole', `TCP to ${address}`);
  if (!isRemembered) t.equal(await ping(one.netns, two.participant.ipv4, { size: mtu - echoBytes, df: true, count: 3 }), 3, `${mtu} bytes in one packet`);
}
