/** The mover: machines that move between namespaces under packets that are each accounted for. The work is mover/*.c's. */
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { netnsPath, type TeardownScope } from '../../pkg/testing/netns.ts';
import { LineProgram } from '../meter/line-program.ts';

/** What a machine has of a network card: sockets in its container's namespace, or a tap there, and itself as the guest. */
export type PlaceKind = 'veth' | 'tap';
/** What a machine says when it goes on. */
export type Announcement = 'rarp' | 'garp' | 'na' | 'none';
/** When what is armed is sent. */
export type TriggerTime = 'stop' | 'resume' | 'never';
export type StreamKind = 'push' | 'pull' | 'ask';

/** Someone who sends and receives. */
export interface Party {
  readonly name: string;
  /** Without prefix length. */
  readonly ipv4: string;
  readonly ipv6: string;
  readonly mac: string;
}

/** Packets in a row that did not come. */
export interface Run {
  /** Number of the first, since the window began. */
  readonly first: number;
  readonly count: number;
  readonly atMs: number;
}

/** What became of one flow's packets of a window. All times are of one clock, which does not jump. */
export interface MovedFlow {
  readonly from: string;
  readonly to: string;
  readonly family: 4 | 6;
  readonly sent: number;
  readonly lost: number;
  /** Of the lost: sent before the machine stopped, while it stood still, and after it went on. */
  readonly lostBefore: number;
  readonly lostDuring: number;
  readonly lostAfter: number;
  /** Of the lost: sent after the activation. */
  readonly lostActivated: number;
  readonly duplicated: number;
  readonly reordered: number;
  /** Of the lost: what the sender's own kernel refused to send. */
  readonly refused: number;
  /** Came to the source after the machine had stopped; lost, where it did not come to the target too. */
  readonly dead: number;
  /** Came to the target's interface before the activation. */
  readonly early: number;
  readonly longestSilenceMs: number;
  readonly silenceAtMs: number;
  /** From the activation to the first packet at the target's interface; absent: none came, or the flow is not to the machine. */
  readonly activationToFirstMs?: number;
  readonly runs: readonly Run[];
}

/** What became of a TCP connection in a window. */
export interface MovedStream {
  readonly peer: string;
  readonly machine: string;
  readonly family: 4 | 6;
  readonly kind: StreamKind;
  readonly bytes: number;
  readonly requests: number;
  /** Segments, by both ends. */
  readonly retransmitted: number;
  /** Retransmission timeouts, of both ends; absent: the kernel does not count them (it does since Linux 6.7). */
  readonly timeouts?: number;
  /** The slowest request, from its sending to the whole answer. */
  readonly slowestMs: number;
  /** The longest time without a byte. */
  readonly longestStallMs: number;
  /** Why it ended; absent: it stands. */
  readonly broken?: string;
}

/** When what happened; absent: it did not. */
export interface Timeline {
  readonly stopped?: number;
  readonly triggered?: number;
  readonly answered?: number;
  readonly resumed?: number;
  readonly announced?: number;
}

export interface Window {
  readonly flows: readonly MovedFlow[];
  readonly streams: readonly MovedStream[];
  readonly timeline: Timeline;
  /** What came back over the socket that was armed, in hexadecimal. */
  readonly answer: string;
  /** What the mover could not do. */
  readonly fault?: string;
  /** Lost in the mover's own buffers. */
  readonly socketDrops: number;
  /** Lost on the whole machine because a queue between two devices was full. */
  readonly backlogDrops: number;
  /** The longest time for which the mover had no processor: in the window, and around the move. */
  readonly longestPauseMs: number;
  readonly criticalPauseMs: number;
}

export interface Move {
  readonly machine: string;
  readonly place: string;
  readonly pauseMs: number;
  readonly announcement: Announcement;
  readonly trigger: TriggerTime;
}

/** Bytes for a socket, or for a named pipe. */
export interface Trigger {
  readonly path: string;
  readonly request: Buffer;
}

/** The mover's process. Commands are done in the order in which they are given. */
export class Mover {
  readonly #program: LineProgram;

  /** Compiles and starts it; it ends with the scope, or after so many seconds. @throws Error when there is no compiler */
  static start(scope: TeardownScope, { seconds = 600 }: { readonly seconds?: number } = {}): Mover {
    const sources = globSync('mover/*.c', { cwd: import.meta.dirname }).map((file) => join(import.meta.dirname, file));
    return new Mover(LineProgram.start(scope, { name: 'mover', sources, args: [`${seconds}`] }));
  }

  private constructor(program: LineProgram) {
    this.#program = program;
  }

  async party({ name, ipv4, ipv6, mac }: Party): Promise<void> {
    await this.#program.command(`party ${name} ${ipv4} ${ipv6} ${mac}`);
  }

  /** Gives the party its interface there. The first place is where it runs; at any other it waits to be moved to. */
  async place(party: string, place: string, { netns, kind = 'veth' }: { readonly netns: string; readonly kind?: PlaceKind }): Promise<void> {
    await this.#program.command(`place ${party} ${place} ${kind} ${netnsPath(netns)}`);
  }

  /** Takes it away: nothing of the mover's keeps the namespace any longer. */
  async leave(place: string): Promise<void> {
    await this.#program.command(`leave ${place}`);
  }

  /** Sends UDP packets from now on. */
  async flow(from: string, to: string, { family, rate }: { readonly family: 4 | 6; readonly rate: number }): Promise<void> {
    await this.#program.command(`flow ${from} ${to} ${family} ${rate}`);
  }

  /** Opens a TCP connection that is in use from now on. @throws Error for a machine behind a tap: the mover is no such guest */
  async stream(peer: string, machine: string, { family, kind }: { readonly family: 4 | 6; readonly kind: StreamKind }): Promise<void> {
    await this.#program.command(`stream ${peer} ${machine} ${family} ${kind}`);
  }

  /** Looks at the packets sent from now on. */
  async begin(): Promise<void> {
    await this.#program.command('begin');
  }

  /** Connects, so that no more than writing is left to do at the moment that counts. */
  async arm({ path, request }: Trigger): Promise<void> {
    await this.#program.command(`arm ${path} ${request.toString('hex')}`);
  }

  /** Stops the machine, and has it go on at the place. Returns at once: end() waits. */
  async move({ machine, place, pauseMs, announcement, trigger }: Move): Promise<void> {
    await this.#program.command(`move ${machine} ${place} ${Math.round(pauseMs * 1000)} ${announcement} ${trigger}`);
  }

  /** Stops the machine where it is; move() goes on from there. */
  async halt(machine: string): Promise<void> {
    await this.#program.command(`halt ${machine}`);
  }

  /** Waits until each flow to the machine has come to its new place. @returns whether they have within so long */
  async reached(withinMs: number): Promise<boolean> {
    return ((await this.#program.command(`reach ${withinMs}`)) as { readonly isReached: boolean }).isReached;
  }

  /** Waits until the machine has moved, and for so long again, the latter half of it for packets under way; and counts. */
  async end(settleMs = 400): Promise<Window> {
    return (await this.#program.command(`end ${settleMs}`)) as Window;
  }

  async stop(): Promise<void> {
    await this.#program.stop();
  }
}
