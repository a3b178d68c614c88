/**
 * Removing links beside the event loop, for a daemon.
 *
 * Deleting a veth takes the kernel 15 to 30 ms, of which all but the first is a wait for its readers after the link is gone from
 * everybody's sight (RTM_DELLINK, some 0.8 ms after the request). So the deletion runs on another thread, and the removal is
 * done when the kernel says that the link is gone. Links that are doomed while a thread is busy go with the next deletion,
 * all in one: 64 together take 30 ms, one by one 1300.
 */
import { describeError } from '../errors/weft-error.ts';
import { delLinkGroup, getLink } from '../netlink/link.ts';
import { NetlinkError } from '../netlink/netlink-error.ts';
import { openNetlink, type Netlink, type NetlinkSocket } from '../netlink/netlink-socket.ts';
import { doomedGroup, doomLinks } from './link-removal.ts';

/**
 * Deletions under way at once, each on a thread of libuv's pool. With one, a removal would wait out the kernel's readers for
 * the one before it; the pool's other threads are the file system's.
 */
const deletionsMax = 3;

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Removes links, and says when they are gone. */
export class LinkReaper {
  readonly #idle: NetlinkSocket[] = [];
  /** By name; the order in which they were doomed. */
  readonly #waiting = new Map<string, Waiting[]>();
  #running = 0;
  /** Whether a link was doomed since the last deletion began. */
  #isDue = false;

  /** Kernel.removeLinks; `route` makes requests in the node's namespace. */
  remove(route: Netlink, names: readonly string[]): Promise<void> {
    const doomed = doomLinks(route, names);
    if (doomed.length === 0) return Promise.resolve();
    const gone = doomed.map((name) => new Promise<void>((resolve, reject) => {
      this.#waiting.set(name, [...(this.#waiting.get(name) ?? []), { resolve, reject }]);
    }));
    this.#isDue = true;
    this.#start(route);
    return Promise.all(gone).then(() => undefined);
  }

  /** To be told of every link that the kernel says is gone. */
  noteGone(name: string): void {
    const waiting = this.#waiting.get(name);
    if (waiting === undefined) return;
    this.#waiting.delete(name);
    for (const { resolve } of waiting) resolve();
  }

  close(): void {
    for (const socket of this.#idle.splice(0)) socket.close();
  }

  #start(route: Netlink): void {
    if (!this.#isDue || this.#running >= deletionsMax) return;
    this.#isDue = false;
    this.#running += 1;
    void this.#delete(route, [...this.#waiting.keys()]);
  }

  /** Never rejects: whoever waits for one of the links is told. */
  async #delete(route: Netlink, names: readonly string[]): Promise<void> {
    try {
      const socket = this.#idle.pop() ?? openNetlink('route');
      const [outcome] = await socket.tryRequestAside([delLinkGroup(doomedGroup)]);
      this.#idle.push(socket);
      this.#check(route, names, outcome instanceof NetlinkError && outcome.errnoCode !== 'ENODEV' ? outcome : undefined);
    } catch (error) {
      this.#check(route, names, error);
    } finally {
      this.#running -= 1;
      this.#start(route);
    }
  }

  /** What nobody has said to be gone is looked for: events get lost, and another process may have taken a link along. */
  #check(route: Netlink, names: readonly string[], error: unknown): void {
    const open = names.filter((name) => this.#waiting.has(name));
    if (open.length === 0) return;
    const outcomes = route.tryRequest(open.map(getLink));
    for (const [index, name] of open.entries()) {
      const outcome = outcomes[index];
      if (outcome instanceof NetlinkError && outcome.errnoCode === 'ENODEV') this.noteGone(name);
      else if (error !== undefined) this.#fail(name, error);
      else this.#again(route, name);
    }
  }

  /** It was doomed when the deletion had begun, or somebody has taken it out of the group. */
  #again(route: Netlink, name: string): void {
    if (doomLinks(route, [name]).length === 0) this.noteGone(name);
    else this.#isDue = true;
  }

  #fail(name: string, error: unknown): void {
    const waiting = this.#waiting.get(name) ?? [];
    this.#waiting.delete(name);
    for (const { reject } of waiting) reject(error instanceof Error ? error : new Error(describeError(error)));
  }
}
