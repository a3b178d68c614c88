/** What is said of offloads: in the log when it changes, and in the status as long as it is so. Pure. */
import type { Log } from '../../log/log.ts';
import { formatAddress, type Address } from '../../netaddr/netaddr.ts';
import type { AffectedPeer, RemedyRecord } from './offload-record.ts';
import { remedyNames, type Remedy } from './offload-remedy.ts';
import type { OffloadFinding } from './offload-test.ts';

/** A way on which something does not work. */
type Way = OffloadFinding & { readonly peer: Address };

/** What a round has found of a VTEP's ways. */
export type RoundFinding =
  | { readonly kind: 'sound'; readonly damaged: readonly Way[] }
  /** Nothing is done about it. */
  | { readonly kind: 'reported' | 'unhealed'; readonly failed: readonly Way[]; readonly damaged: readonly Way[] }
  | { readonly kind: 'healed'; readonly record: RemedyRecord };

const damages = {
  checksum: 'packets whose checksum is left to the devices come damaged, or not at all',
  segmentation: 'packets that the devices are to cut come damaged, or not at all',
} as const;
const damagedAnyway = 'packets come damaged, also with checksums that weft has finished: no offload has a part in it';
const advice = {
  reported: (verdict: Remedy) => `nothing is done about it: set offload to auto, or turn off ${remedyNames[verdict]} of weft's VXLAN devices with ethtool -K`,
  unhealed: () => "it does not help to turn off what weft's VXLAN devices leave to others: look at the devices below and between (ethtool -K NIC tx off rx off)",
} as const;

/** Remembers by VTEP what was said. */
export class OffloadFindings {
  readonly #log: Log;
  readonly #node: () => string;
  readonly #faults = new Map<string, readonly string[]>();

  constructor(log: Log, node: () => string) {
    this.#log = log;
    this.#node = node;
  }

  /** What is wrong and nobody has done anything about, in words. */
  get faults(): readonly string[] {
    return [...this.#faults.values()].flat();
  }

  note(key: string, finding: RoundFinding): void {
    const before = this.#faults.get(key) ?? [];
    const faults = this.#inWords(finding);
    if (faults.length === 0) this.#faults.delete(key);
    else this.#faults.set(key, faults);
    for (const fault of faults) if (!before.includes(fault)) this.#log.warn({ code: 'offload-found', node: this.#node(), vtep: key }, fault);
    if (finding.kind !== 'healed') return;
    const { record } = finding;
    this.#log.warn({ code: 'offload-healed', node: this.#node(), vtep: key, peers: record.peers.map(nameOf), remedy: record.remedy }, this.describeRemedy(record));
  }

  noteReverted({ vtep, remedy, peers }: RemedyRecord, why: string): void {
    this.#log.info({ node: this.#node(), vtep: formatAddress(vtep), peers: peers.map(nameOf), remedy }, `${remedyNames[remedy]} of weft's VXLAN devices is on again: ${why}`);
  }

  /** A remedy that is in force. */
  describeRemedy({ remedy, peers, since }: RemedyRecord): string {
    return `from node ${this.#node()} to ${peers.map(nameOf).join(', ')} ${damages[remedy]}: ${remedyNames[remedy]} of weft's VXLAN devices is off since ${new Date(since).toISOString()}, which heals it`;
  }

  /** Forgets VTEPs that are none of these. */
  retain(keys: ReadonlySet<string>): void {
    for (const key of this.#faults.keys()) if (!keys.has(key)) this.#faults.delete(key);
  }

  clear(): void {
    this.#faults.clear();
  }

  #inWords(finding: RoundFinding): string[] {
    if (finding.kind === 'healed') return [];
    const from = `from node ${this.#node()} to`;
    const damaged = finding.damaged.map((way) => `${from} ${nameOf(asPeer(way))} ${damagedAnyway}`);
    if (finding.kind === 'sound') return damaged;
    const failed = finding.failed.map((way) => {
      const verdict = way.verdict === 'segmentation' ? 'segmentation' : 'checksum';
      return `${from} ${nameOf(asPeer(way))} ${damages[verdict]}; ${advice[finding.kind](verdict)}`;
    });
    return [...failed, ...damaged];
  }
}

function asPeer({ peer, node }: Way): AffectedPeer {
  return node === undefined ? { address: peer } : { address: peer, node };
}

function nameOf({ address, node }: AffectedPeer): string {
  return node === undefined ? `VTEP ${formatAddress(address)}` : `node ${node} (VTEP ${formatAddress(address)})`;
}
