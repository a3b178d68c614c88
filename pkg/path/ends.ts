/** This node's ends, one at each of its VTEPs: opened while tenants have peers there, and tried again where they cannot be. */
import { describeError } from '../errors/weft-error.ts';
import type { Log } from '../log/log.ts';
import { formatAddress, type Address } from '../netaddr/netaddr.ts';
import { startTimer } from '../sys/timer.ts';
import type { UdpAddress } from '../sys/socket-address.ts';
import type { Prober } from './prober.ts';

/** An open end. */
export interface OpenEnd extends Prober {
  close(): void;
}

export interface EndsParts {
  readonly log: Log;
  /** @throws SystemCallError, such as EADDRINUSE */
  readonly open: (at: UdpAddress) => OpenEnd;
  /** One was opened after it could not be before. */
  readonly onOpened: () => void;
}

const firstRetryMs = 250;
const retryMsMax = 30_000;
/** A daemon that is replaced still has the port for a moment, and an address may be new: only then it is worth a word. */
const retriesUnsaid = 3;

interface End {
  readonly at: UdpAddress;
  open?: OpenEnd;
  fault?: string;
  failures: number;
  cancel: () => void;
}

/** Never throws for an address or a port that is not to be had. */
export class Ends {
  readonly #parts: EndsParts;
  readonly #ends = new Map<string, End>();

  constructor(parts: EndsParts) {
    this.#parts = parts;
  }

  /** Has ends at these addresses, and at no others. */
  follow(addresses: readonly Address[], port: number): void {
    const wanted = new Map(addresses.map((address) => [`${formatAddress(address)} ${port}`, { address, port }]));
    for (const [key, end] of this.#ends) {
      if (wanted.has(key)) continue;
      end.cancel();
      end.open?.close();
      this.#ends.delete(key);
    }
    for (const [key, at] of wanted) if (!this.#ends.has(key)) this.#begin(key, at);
  }

  /** The end at a VTEP; undefined where it could not be opened. */
  at(vtep: Address): OpenEnd | undefined {
    const prefix = `${formatAddress(vtep)} `;
    return [...this.#ends].find(([key]) => key.startsWith(prefix))?.[1].open;
  }

  /** Tries again at once what could not be opened: an address may be there by now. */
  retry(): void {
    for (const end of this.#ends.values()) {
      if (end.open !== undefined) continue;
      end.cancel();
      this.#attempt(end);
    }
  }

  /** What is wrong, in words. */
  get faults(): readonly string[] {
    return [...this.#ends.values()].flatMap(({ fault, failures }) => (fault === undefined || failures <= retriesUnsaid ? [] : [fault]));
  }

  close(): void {
    this.follow([], 0);
  }

  #begin(key: string, at: UdpAddress): void {
    const end: End = { at, failures: 0, cancel: () => undefined };
    this.#ends.set(key, end);
    this.#attempt(end);
  }

  #attempt(end: End): void {
    const { log, open, onOpened } = this.#parts;
    const where = `UDP port ${end.at.port} of ${formatAddress(end.at.address)}`;
    try {
      end.open = open(end.at);
      delete end.fault;
      if (end.failures > retriesUnsaid) log.info({ address: formatAddress(end.at.address), port: end.at.port }, 'the paths to other nodes are probed now');
      if (end.failures > 0) onOpened();
      end.failures = 0;
    } catch (error) {
      end.failures += 1;
      end.fault = `the paths to other nodes are not probed, and theirs to this one are not answered: ${where} cannot be had: ${describeError(error)}: free it, or choose another path.port on all nodes`;
      if (end.failures === retriesUnsaid + 1) log.warn({ code: 'path-port', address: formatAddress(end.at.address), port: end.at.port, error: describeError(error) }, 'the paths to other nodes cannot be probed: the port cannot be had, and is tried again');
      end.cancel = startTimer(Math.min(firstRetryMs * 2 ** (end.failures - 1), retryMsMax), () => this.#attempt(end));
    }
  }
}
