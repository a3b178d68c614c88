/** A machine moves to and fro between two nodes, while senders on these and on a third talk to it. */
import { setTimeout as delay } from 'node:timers/promises';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import type { Berth, Carrier, MachineKind } from './carrier.ts';
import { sampleOf, type Afterwards, type Sample } from './figures.ts';
import { silentOf } from './invariants.ts';
import { Mover, type Announcement, type StreamKind, type TriggerTime, type Window } from './mover.ts';
import { tapDrops } from './tap-container.ts';

/** Who says that the machine has moved: it is stopped and weft is told, or it speaks when it goes on, or it is silent and weft is told when it goes on; or nobody says it. */
export type How = 'stop' | 'rarp' | 'garp' | 'na' | 'silent' | 'nothing';

export interface CourseOptions {
  readonly machine: MachineKind;
  readonly how: How;
  readonly pauseMs: number;
  readonly migrations: number;
  /** Packets per second of each flow. @default 1000; 0: none */
  readonly rateHz?: number;
  /** @default both */
  readonly families?: readonly (4 | 6)[];
  /** Of each family from the sender on the third node. @default none */
  readonly streams?: readonly StreamKind[];
  /** How long to wait for the machine to be reached again. @default usualPatienceMs */
  readonly patienceMs?: number;
}

/** Longer than any loss that is forgiven: see invariants.ts. */
export const usualPatienceMs = 5000;

const ways: Readonly<Record<How, { readonly announcement: Announcement; readonly trigger: TriggerTime }>> = {
  stop: { announcement: 'none', trigger: 'stop' },
  rarp: { announcement: 'rarp', trigger: 'never' },
  garp: { announcement: 'garp', trigger: 'never' },
  na: { announcement: 'na', trigger: 'never' },
  silent: { announcement: 'none', trigger: 'resume' },
  nothing: { announcement: 'none', trigger: 'never' },
};

/** Before the machine stops and after it has been reached, so that the figures show what is usual. */
const steadyMs = 60;
const settleMs = 300;
/** Before the first move: packets arrive, or it is waited for that they do. */
const restMs = 300;
const restsMax = 10;
/** A look at what still comes, when a migration is over; TCP may have backed off by then, and is looked at until it is there again. */
const lookMs = 100;
const afterwardsMs = 10_000;
const secondsPerMove = 20;

/** What came of a course. */
export interface CourseOutcome {
  readonly samples: readonly Sample[];
  /** Packets that were lost before the first move, while nothing happened. */
  readonly lostAtRest: number;
}

/** Moves the machine so often, and looks at each move by itself. @throws Error where a move fails, which is no matter of packets */
export async function migrate(scope: TeardownScope, carrier: Carrier, options: CourseOptions): Promise<CourseOutcome> {
  const course = new Course(Mover.start(scope, { seconds: 60 + options.migrations * secondsPerMove }), carrier, options);
  const lostAtRest = await course.begin();
  const samples: Sample[] = [];
  while (samples.length < options.migrations) samples.push(await course.move());
  await course.end();
  return { samples, lostAtRest };
}

class Course {
  readonly #mover: Mover;
  readonly #carrier: Carrier;
  readonly #options: CourseOptions;
  readonly #places = new Map<string, string>();
  #at: Berth | undefined;

  constructor(mover: Mover, carrier: Carrier, options: CourseOptions) {
    this.#mover = mover;
    this.#carrier = carrier;
    this.#options = options;
  }

  /** The machine begins on the first node. @returns how many packets are lost there while nothing happens */
  async begin(): Promise<number> {
    const { senders, machine } = this.#carrier;
    const { machine: kind, rateHz = 1000, families = [4, 6], streams = [], how } = this.#options;
    for (const party of [...senders, machine]) await this.#mover.party(party);
    for (const { name, netns } of senders) await this.#mover.place(name, name, { netns });
    this.#at = await this.#carrier.begin(1, kind);
    await this.#place(this.#at);
    for (const family of families) {
      for (const { name } of rateHz === 0 ? [] : senders) {
        await this.#mover.flow(name, machine.name, { family, rate: rateHz });
        // Whoever sends has said where it is.
        if (how !== 'nothing') await this.#mover.flow(machine.name, name, { family, rate: rateHz });
      }
      for (const kind of streams) await this.#mover.stream(senders.at(-1)?.name ?? '', machine.name, { family, kind });
    }
    return this.#comeToRest();
  }

  /** A machine that was somewhere else a moment ago is not found at once. @returns how many packets are lost when it should be */
  async #comeToRest(): Promise<number> {
    let lost = NaN;
    for (let attempt = 0; attempt < restsMax && lost !== 0; attempt += 1) {
      await delay(restMs);
      await this.#mover.begin();
      await delay(restMs);
      const { flows } = await this.#mover.end(settleMs);
      lost = flows.reduce((sum, flow) => sum + flow.lost, 0);
    }
    return lost;
  }

  /** One migration, with all that belongs to it. */
  async move(): Promise<Sample> {
    const from = this.#berth();
    const isCold = this.#carrier.isCold;
    const to = isCold ? undefined : await this.#prepare(from);
    await this.#mover.begin();
    await delay(steadyMs);
    const { window, at } = await this.#moveTo(from, to);
    const sample = sampleOf(window, { from: from.node, to: at.node, senders: this.#carrier.senders, machine: this.#carrier.machine.name });
    this.#at = at;
    if (isCold) return sample;
    await this.#carrier.completed(from, at, window.answer);
    const afterwards = await this.#lookAfterwards();
    await this.#leave(from);
    await this.#carrier.remove(from);
    return { ...sample, afterwards };
  }

  /** The mover still has its end at the source, and counts what comes there. */
  async #lookAfterwards(): Promise<Afterwards> {
    const deadline = performance.now() + afterwardsMs;
    let atSource = 0;
    for (;;) {
      await this.#mover.begin();
      await delay(lookMs);
      const window = await this.#mover.end(lookMs);
      atSource += window.flows.reduce((sum, { dead }) => sum + dead, 0);
      const silent = silentOf(window);
      if (silent.length === 0 || performance.now() > deadline) return { atSource, silent };
    }
  }

  async end(): Promise<void> {
    await this.#leave(this.#berth());
    await this.#mover.stop();
    await this.#carrier.remove(this.#berth());
  }

  async #moveTo(from: Berth, prepared: Berth | undefined): Promise<{ readonly window: Window; readonly at: Berth }> {
    const { how, pauseMs, patienceMs = usualPatienceMs } = this.#options;
    const { name } = this.#carrier.machine;
    const at = prepared ?? (await this.#moveCold(from));
    const dropped = this.#tapDrops(at);
    const way = ways[how];
    if (way.trigger !== 'never') await this.#mover.arm(this.#carrier.activation(from, at));
    await this.#mover.move({ machine: name, place: this.#places.get(at.netns) ?? '', pauseMs, ...way });
    await this.#mover.reached(patienceMs + pauseMs);
    const window = await this.#mover.end(settleMs);
    const overflow = this.#tapDrops(at) - dropped;
    if (prepared === undefined) await this.#leave(from);
    return { window: overflow === 0 ? window : { ...window, fault: `the tap's queue lost ${overflow}` }, at };
  }

  /** Here it goes, and there it is made anew: its end at the source is only left when it is at the target. */
  async #moveCold(from: Berth): Promise<Berth> {
    await this.#mover.halt(this.#carrier.machine.name);
    await this.#carrier.remove(from);
    return this.#prepare(from);
  }

  async #prepare(from: Berth): Promise<Berth> {
    const berth = await this.#carrier.prepare(from.node === 1 ? 2 : 1, this.#options.machine);
    await this.#place(berth);
    return berth;
  }

  async #place(berth: Berth): Promise<void> {
    const place = `place${this.#places.size + 1}`;
    this.#places.set(berth.netns, place);
    await this.#mover.place(this.#carrier.machine.name, place, { netns: berth.netns, kind: this.#options.machine === 'veth' ? 'veth' : 'tap' });
  }

  #tapDrops({ netns }: Berth): number {
    return this.#options.machine === 'veth' ? 0 : tapDrops(netns);
  }

  async #leave(berth: Berth): Promise<void> {
    await this.#mover.leave(this.#places.get(berth.netns) ?? '');
  }

  #berth(): Berth {
    if (this.#at === undefined) throw new Error('the course has not begun');
    return this.#at;
  }
}
