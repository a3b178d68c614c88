/**
 * Requests of several callers that travel together, and are carried out on another thread.
 *
 * The kernel does a request's work inside sendto(2): on the event loop's thread nothing else would happen meanwhile. Here it is a thread of
 * libuv's pool that waits, and what is asked for in the meantime becomes the next datagram: the more there is to do, the less the hand-over
 * to the thread costs each of them. For one caller alone NetlinkSocket.request() is quicker.
 */
import { nextTurn } from '../sys/timer.ts';
import type { NetlinkMessage, NetlinkRequest } from './codec.ts';
import type { NetlinkError } from './netlink-error.ts';
import { requestsPerDatagram, requireAnswers, type NetlinkSocket } from './netlink-socket.ts';

interface Waiting {
  readonly requests: readonly NetlinkRequest[];
  readonly resolve: (answers: NetlinkMessage[][]) => void;
  readonly reject: (error: unknown) => void;
}

/** One socket that is used beside the event loop; opened when it is first needed. */
export class NetlinkQueue {
  readonly #open: () => NetlinkSocket;
  readonly #waiting: Waiting[] = [];
  #socket: NetlinkSocket | undefined;
  #isBusy = false;

  /** @param open makes a socket that nobody else uses */
  constructor(open: () => NetlinkSocket) {
    this.#open = open;
  }

  /** As NetlinkSocket.request(), for at most as many requests as one datagram takes. Those of different callers are carried out in any order. */
  request(requests: readonly NetlinkRequest[]): Promise<NetlinkMessage[][]> {
    return new Promise((resolve, reject) => {
      // Here and not later: a socket belongs to the namespace that the thread is in when it is opened.
      this.#socket ??= this.#open();
      this.#waiting.push({ requests, resolve, reject });
      if (!this.#isBusy) void this.#work();
    });
  }

  /** What is under way is still answered. */
  close(): void {
    if (!this.#isBusy) this.#closeSocket();
  }

  async #work(): Promise<void> {
    this.#isBusy = true;
    while (this.#waiting.length > 0) {
      // What others ask for within this turn of the event loop goes along.
      await nextTurn();
      await this.#exchange(takeDatagram(this.#waiting));
    }
    this.#isBusy = false;
  }

  /** Never rejects: whoever asked is told. */
  async #exchange(together: readonly Waiting[]): Promise<void> {
    try {
      this.#socket ??= this.#open();
      const outcomes = await this.#socket.tryRequestAside(together.flatMap(({ requests }) => requests));
      let at = 0;
      for (const waiting of together) settle(waiting, outcomes.slice(at, (at += waiting.requests.length)));
    } catch (error) {
      // What it still has to say would be taken for the answer to something else.
      this.#closeSocket();
      for (const { reject } of together) reject(error);
    }
  }

  #closeSocket(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }
}

/** Takes as many of the first ones as fit into one datagram; at least one. */
function takeDatagram(waiting: Waiting[]): Waiting[] {
  let [count, requests] = [0, 0];
  for (const next of waiting) {
    requests += next.requests.length;
    if (count > 0 && requests > requestsPerDatagram) break;
    count += 1;
  }
  return waiting.splice(0, count);
}

function settle({ resolve, reject }: Waiting, outcomes: readonly (NetlinkMessage[] | NetlinkError)[]): void {
  try {
    resolve(requireAnswers(outcomes));
  } catch (refusal) {
    reject(refusal);
  }
}
