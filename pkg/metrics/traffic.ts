/** Counters of links, as those see them who are at their other ends, and sums that outlive the links. Pure. */

/** What has gone through, in both directions; drops are packets. */
export interface Traffic {
  readonly receiveBytes: number;
  readonly receivePackets: number;
  readonly receiveDrops: number;
  readonly transmitBytes: number;
  readonly transmitPackets: number;
  readonly transmitDrops: number;
}

const keys = ['receiveBytes', 'receivePackets', 'receiveDrops', 'transmitBytes', 'transmitPackets', 'transmitDrops'] as const;

export const noTraffic: Traffic = { receiveBytes: 0, receivePackets: 0, receiveDrops: 0, transmitBytes: 0, transmitPackets: 0, transmitDrops: 0 };

/** The same from the other end of a pair: what the host's interface sends its peer receives. */
export function seenFromPeer({ receiveBytes, receivePackets, receiveDrops, transmitBytes, transmitPackets, transmitDrops }: Traffic): Traffic {
  return { receiveBytes: transmitBytes, receivePackets: transmitPackets, receiveDrops: transmitDrops, transmitBytes: receiveBytes, transmitPackets: receivePackets, transmitDrops: receiveDrops };
}

/** The counters of one link. */
export interface LinkTraffic {
  /** Another one for a link that was made anew. */
  readonly key: string;
  /** What it is summed up with. */
  readonly group: string;
  /** Of its attachment, milliseconds since the epoch. */
  readonly createdAt: number;
  readonly traffic: Traffic;
}

/**
 * Sums by group that never go down: a container that goes takes nothing with it. Of a link of an attachment that was there before them they count what comes
 * after the first look, so that a daemon that starts anew does not count once more what was counted before; of a later one they count all.
 */
export class TrafficSums {
  readonly #since: number;
  #known: ReadonlyMap<string, Traffic> = new Map();
  readonly #sums = new Map<string, Traffic>();

  /** @param since when they begin, milliseconds since the epoch */
  constructor(since: number) {
    this.#since = since;
  }

  /** The counters of all links that there are now. */
  note(links: readonly LinkTraffic[]): void {
    for (const { key, group, createdAt, traffic } of links) {
      const before = this.#known.get(key) ?? (createdAt < this.#since ? traffic : noTraffic);
      this.#sums.set(group, plus(this.#sums.get(group) ?? noTraffic, before, traffic));
    }
    this.#known = new Map(links.map(({ key, traffic }) => [key, traffic]));
  }

  /** By group. */
  get sums(): ReadonlyMap<string, Traffic> {
    return this.#sums;
  }
}

/** A counter that is smaller than before began again. */
function plus(sum: Traffic, before: Traffic, now: Traffic): Traffic {
  const added = (key: (typeof keys)[number]): number => sum[key] + (now[key] >= before[key] ? now[key] - before[key] : now[key]);
  const [receiveBytes, receivePackets, receiveDrops, transmitBytes, transmitPackets, transmitDrops] = keys.map(added) as [number, number, number, number, number, number];
  return { receiveBytes, receivePackets, receiveDrops, transmitBytes, transmitPackets, transmitDrops };
}
