/**
 * Who reaches whom, measured at the receiver: every container marks its packets with its own name, and captures in all
 * containers say where they came out. With equal addresses in two tenants an answered ping alone does not tell whose
 * container answered.
 */
import { startCapture, type Capture } from '../../pkg/testing/capture.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { ping } from './container.ts';

/** A container that takes part. */
export interface Participant {
  /** At most eight bytes, and no participant's name may begin with another's: it is the marker of its packets. */
  readonly name: string;
  readonly tenant: string;
  readonly netns: string;
  /** Without prefix length. */
  readonly ipv4: string;
  readonly ipv6: string;
  readonly broadcast: string;
}

/** One cell of the table. */
export interface Reach {
  readonly from: Participant;
  readonly to: Participant;
  readonly isExpected: boolean;
  /** Inside a tenant: both families were answered by this very container. Across tenants: any packet came through. */
  readonly isReached: boolean;
  /** Whether a broadcast came through. */
  readonly isBroadcastReached: boolean;
}

interface Listener {
  readonly participant: Participant;
  readonly capture: Capture;
}

/** Pings from every participant to every address of all of them, in both families, and to everybody by broadcast. */
export async function measureReach(scope: TeardownScope, participants: readonly Participant[]): Promise<readonly Reach[]> {
  const listeners = await Promise.all(
    participants.map(async (participant) => ({ participant, capture: await startCapture(scope, participant.netns, 'eth0') })),
  );
  const answered = new Set<string>();
  await Promise.all(participants.map((from) => pingAll(from, participants, answered)));
  await Promise.all(participants.map((from) => ping(from.netns, from.broadcast, { broadcast: true, marker: broadcastMarker(from) })));
  await Promise.all(listeners.map(({ capture }) => capture.drain()));
  return participants.flatMap((from) =>
    listeners.filter(({ participant }) => participant !== from).map((listener) => judge(from, listener, answered)),
  );
}

/** The cells that are not as they should be, in words. */
export function describeFaults(reaches: readonly Reach[]): readonly string[] {
  return reaches.flatMap(({ from, to, isExpected, isReached, isBroadcastReached }) => [
    ...(isReached === isExpected ? [] : [`${from.name} ${isExpected ? 'does not reach' : 'reaches'} ${to.name}`]),
    ...(isBroadcastReached === isExpected ? [] : [`a broadcast of ${from.name} ${isExpected ? 'does not reach' : 'reaches'} ${to.name}`]),
  ]);
}

async function pingAll(from: Participant, participants: readonly Participant[], answered: Set<string>): Promise<void> {
  const own = [from.ipv4, from.ipv6];
  const addresses = new Set(participants.flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6]));
  for (const address of addresses) {
    if (own.includes(address)) continue;
    if ((await ping(from.netns, address, { marker: unicastMarker(from, address) })) > 0) answered.add(unicastMarker(from, address));
  }
}

function judge(from: Participant, { participant: to, capture }: Listener, answered: ReadonlySet<string>): Reach {
  const isExpected = from.tenant === to.tenant;
  const markers = [unicastMarker(from, to.ipv4), unicastMarker(from, to.ipv6)];
  const isReached = isExpected
    ? markers.every((marker) => answered.has(marker) && capture.count(marker) > 0)
    : capture.count(`${from.name}>`) > 0;
  return { from, to, isExpected, isReached, isBroadcastReached: capture.count(broadcastMarker(from)) > 0 };
}

/** The name, then what is special to the address: its last digits and its family. */
function unicastMarker(from: Participant, address: string): string {
  return `${from.name}>${address.slice(-3)}/${address.includes(':') ? 6 : 4}`;
}

function broadcastMarker(from: Participant): string {
  return `${from.name}>all`;
}
