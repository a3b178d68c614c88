/** What carries a machine from node to node: weft, or the kernel alone. */
import type { Party, Trigger } from './mover.ts';
import { makeTapContainer } from './tap-container.ts';

/** What moves: sockets in a container's namespace, or a guest behind a tap, which is joined to the container's interface in either way. */
export type MachineKind = 'veth' | 'tap' | 'bridged-tap';

/** Makes of a container that is attached what the machine needs. */
export function furnish(netns: string, kind: MachineKind): void {
  if (kind !== 'veth') makeTapContainer(netns, kind === 'tap' ? 'redirect' : 'bridge');
}

/** Someone on one of the nodes who talks to the machine. */
export interface Sender extends Party {
  /** Counted from 1. */
  readonly node: number;
  readonly netns: string;
}

/** A container for the machine. */
export interface Berth {
  readonly node: number;
  readonly netns: string;
}

export interface Carrier {
  readonly senders: readonly Sender[];
  readonly machine: Party;
  /** Whether the machine's container at the source goes before there is one at the target, as where nobody knows of migrations. */
  readonly isCold: boolean;
  /** The container in which the machine begins. */
  begin(node: number, kind: MachineKind): Promise<Berth>;
  /** A container for it to go to, where it waits, or, where the carrier is cold, just is. */
  prepare(node: number, kind: MachineKind): Promise<Berth>;
  /** What is sent at the stop. */
  activation(from: Berth, to: Berth): Trigger;
  /** Waits until nothing is left to do for the move. @throws Error with what is */
  completed(from: Berth, to: Berth, answer: string): Promise<void>;
  remove(berth: Berth): Promise<void>;
}
