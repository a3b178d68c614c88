/**
 * Removing links beside the event loop, for a daemon.
 *
 * Deleting a veth takes the kernel 15 to 30 ms, of which all but the first is a wait for its readers after the link is gone from
 * everybody's sight (RTM_DELLINK, some 0.8 ms after the request). So the deletion runs on another thread, and the removal is
 * done when the kernel says that the link is gone. Links that are doomed meanwhile go with the next deletion, all in one: 64 together take
 * 30 ms, one by one 1300. The next one begins when the last one's links are all gone, for until then it would wait for the kernel's
 * lock, and in a burst not before some more have come, for there are only so many threads to wait on.
 */
import { describeError } from '../errors/weft-error.ts';
import type { NetlinkMessage } from '../netlink/codec.ts';
import { delLinkGroup, getLinkByIndex, setLink, setLinkGroup } from '../netlink/link.ts';
import { NetlinkError } from '../netlink/netlink-error.ts';
import { openNetlink, type Netlink, type NetlinkSocket } from '../netlink/netlink-socket.ts';
import { nextTurn, pause } from '../sys/timer.ts';
import { doomedGroup, doomLinks, type DoomedLink } from './link-removal.ts';

/**
 * Deletions under way at once, each on a thread of libuv's pool. With one, a removal would wait out the kernel's readers for
 * the one before it; the pool's other threads are the file system's.
 */
const deletionsMax = 3;
/** A deletion while another one still waits: so many milliseconds behind its beginning. */
const pauseMs = 5;

/** Requests of one datagram, whose answers must have room in the socket's buffer. */
const linksPerDeletion = 64;

export interface LinkReaperOptions {
  /** Makes a socket in the node's namespace, for deletions alone. */
  readonly open?: () => NetlinkSocket;
  /** The index of a link of the node, where it is known without asking the kernel. A stale one costs time and nothing else. */
  readonly findIndex?: (name: string) => number | undefined;
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Removes links, and says when they are gone. */
export class LinkReaper {
  readonly #open: () => NetlinkSocket;
  readonly #findIndex: (name: string) => number | undefined;
  readonly #idle: NetlinkSocket[] = [];
  /** By the link's index: another link may have the name before everybody has heard that this one is gone. */
  readonly #waiting = new Map<number, Waiting[]>();
  /** Names that the next deletion dooms first. */
  readonly #toDoom: string[] = [];
  /** Names that wait for the end of this turn, and what comes of them. */
  readonly #queued: string[] = [];
  #flush: Promise<ReadonlyMap<string, Promise<void>>> | undefined;
  /** Indexes of links that a deletion under way is about to put out of sight. */
  readonly #going = new Set<number>();
  #running = 0;
  #startedAt = 0;
  #isPausing = false;
  /** In the node's namespace: whoever asked last gave it. */
  #route: Netlink | undefined;
  /** Whether a link was doomed since the last deletion began. */
  #isDue = false;

  constructor({ open = () => openNetlink('route'), findIndex = () => undefined }: LinkReaperOptions = {}) {
    this.#open = open;
    this.#findIndex = findIndex;
  }

  /** Kernel.removeLinks; `route` makes requests in the node's namespace. */
  remove(route: Netlink, names: readonly string[]): Promise<void> {
    // Not asynchronous: who calls it inside a transaction must have the refusal there.
    const removals = this.#doom(route, [...new Set(names)]);
    return Promise.all(removals.values()).then(() => undefined);
  }

  /**
   * Kernel.removeLinksSoon: what comes within one turn of the event loop goes together. To doom a link is to wait for the kernel's lock,
   * which a deletion under way holds: links whose index is known are doomed on the other thread, right before they are deleted.
   */
  async removeSoon(route: Netlink, names: readonly string[]): Promise<void> {
    this.#queued.push(...names);
    this.#flush ??= nextTurn().then(() => this.#removeQueued(route));
    const removals = await this.#flush;
    await Promise.all(names.map((name) => removals.get(name)));
  }

  #removeQueued(route: Netlink): ReadonlyMap<string, Promise<void>> {
    this.#flush = undefined;
    const names = [...new Set(this.#queued.splice(0))];
    const links = names.map((name) => ({ name, index: this.#findIndex(name) }));
    const known = links.filter((link): link is DoomedLink => link.index !== undefined);
    this.#toDoom.push(...known.map(({ name }) => name));
    const removals = this.#waitFor(known);
    const unknown = this.#doom(route, links.filter(({ index }) => index === undefined).map(({ name }) => name));
    this.#start();
    return new Map([...removals, ...unknown]);
  }

  /** Dooms links; by the name of each that is there, what is fulfilled when it is gone. */
  #doom(route: Netlink, names: readonly string[]): ReadonlyMap<string, Promise<void>> {
    this.#route = route;
    const removals = this.#waitFor(doomLinks(route, names));
    this.#start();
    return removals;
  }

  #waitFor(links: readonly DoomedLink[]): ReadonlyMap<string, Promise<void>> {
    if (links.length > 0) this.#isDue = true;
    return new Map(links.map(({ name, index }) => [name, new Promise<void>((resolve, reject) => {
      this.#waiting.set(index, [...(this.#waiting.get(index) ?? []), { resolve, reject }]);
    })]));
  }

  /**
   * To be told of every link that the kernel says is gone, by its index. The kernel is not asked once more: while it deletes other
   * links of the group it would answer only when it is done with all of them.
   */
  noteGone(index: number): void {
    const waiting = this.#waiting.get(index) ?? [];
    this.#waiting.delete(index);
    for (const { resolve } of waiting) resolve();
    if (this.#going.delete(index) && this.#going.size === 0) this.#start();
  }

  close(): void {
    for (const socket of this.#idle.splice(0)) socket.close();
  }

  #start(): void {
    if (!this.#isDue || this.#route === undefined || this.#isPausing || this.#running >= deletionsMax || this.#going.size > 0) return;
    const restMs = this.#running === 0 ? 0 : this.#startedAt + pauseMs - performance.now();
    if (restMs > 0) return void this.#startIn(restMs);
    this.#isDue = false;
    this.#running += 1;
    this.#startedAt = performance.now();
    const indexes = [...this.#waiting.keys()];
    for (const index of indexes) this.#going.add(index);
    void this.#delete(this.#route, indexes);
  }

  async #startIn(ms: number): Promise<void> {
    this.#isPausing = true;
    await pause(ms);
    this.#isPausing = false;
    this.#start();
  }

  /** Never rejects: whoever waits for one of the links is told. */
  async #delete(route: Netlink, indexes: readonly number[]): Promise<void> {
    const error = await this.#deleteDoomed();
    for (const index of indexes) this.#going.delete(index);
    try {
      this.#check(route, indexes, error);
    } catch (failure) {
      for (const index of indexes) this.#fail(index, failure);
    }
    this.#running -= 1;
    this.#start();
  }

  /** Why the deletion failed; undefined where it did not. */
  async #deleteDoomed(): Promise<unknown> {
    let socket: NetlinkSocket | undefined;
    try {
      socket = this.#idle.pop() ?? this.#open();
      const doom = this.#toDoom.splice(0, linksPerDeletion).map((name) => setLink(name, { group: doomedGroup }));
      // Its turn comes when this one is over.
      if (this.#toDoom.length > 0) this.#isDue = true;
      const outcome = (await socket.tryRequestAside([...doom, delLinkGroup(doomedGroup)])).at(-1);
      this.#idle.push(socket);
      return isGone(outcome) || Array.isArray(outcome) ? undefined : outcome;
    } catch (error) {
      socket?.close();
      return error;
    }
  }

  /** What nobody has said to be gone is looked for: events get lost, and another process may have taken a link along. */
  #check(route: Netlink, indexes: readonly number[], error: unknown): void {
    const open = indexes.filter((index) => this.#waiting.has(index));
    if (open.length === 0) return;
    const outcomes = route.tryRequest(open.map(getLinkByIndex));
    for (const [position, index] of open.entries()) {
      if (isGone(outcomes[position])) this.noteGone(index);
      else if (error !== undefined) this.#fail(index, error);
      else this.#again(route, index);
    }
  }

  /** It was doomed when the deletion had begun, or somebody has taken it out of the group. */
  #again(route: Netlink, index: number): void {
    if (isGone(route.tryRequest([setLinkGroup(index, doomedGroup)])[0])) this.noteGone(index);
    else this.#isDue = true;
  }

  #fail(index: number, error: unknown): void {
    const waiting = this.#waiting.get(index) ?? [];
    this.#waiting.delete(index);
    for (const { reject } of waiting) reject(error instanceof Error ? error : new Error(describeError(error)));
  }
}

function isGone(outcome: NetlinkMessage[] | NetlinkError | undefined): boolean {
  return outcome instanceof NetlinkError && outcome.errnoCode === 'ENODEV';
}
