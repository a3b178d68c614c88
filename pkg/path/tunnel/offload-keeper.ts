/**
 * Tests what is left to the devices on the way to each peer, and where they spoil it turns it off on weft's own VXLAN devices of that VTEP; on again
 * when the way is sound.
 *
 *     sound ──three failed tests──▶ a remedy on the probe tunnel ──test passes──▶ the same on all VXLAN devices of the VTEP, written down
 *       ▲                                    └─ fails with every remedy ─▶ undone, and said
 *       └──three passed tests of the probe tunnel without the remedy── now and then ──┘   (or a narrower one will do)
 *
 * Only frames that this node sends are concerned: each node looks after its own.
 */
import type { OffloadConf } from '../../config/offload-conf.ts';
import { describeError } from '../../errors/weft-error.ts';
import type { Log } from '../../log/log.ts';
import { addressesEqual, formatAddress, type Address } from '../../netaddr/netaddr.ts';
import { startTimer } from '../../sys/timer.ts';
import { OffloadFindings } from './offload-findings.ts';
import { formatRecords, parseRecords, type AffectedPeer, type RemedyRecord } from './offload-record.ts';
import { remedies, type OffloadDevices, type Remedy } from './offload-remedy.ts';
import { Patience } from './offload-patience.ts';
import { isFailed, WayTester, type Needed, type Tested, type TunnelEnd, type Way } from './way-tester.ts';

export interface OffloadKeeperParts {
  readonly ends: () => readonly TunnelEnd[];
  readonly devices: OffloadDevices;
  /** weft's VXLAN devices with this VTEP address, those of the ends among them. */
  readonly namesOf: (vtep: Address) => readonly string[];
  /** What an earlier daemon has written down; undefined where there is nothing. */
  readonly load: () => string | undefined;
  readonly save: (text: string) => void;
  /** This node's name. */
  readonly node: () => string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly log: Log;
}

/** A peer that did not answer is asked again soon, and less and less often: it may be starting. */
const againMsMin = 2000;

/** One for a daemon. */
export class OffloadKeeper {
  readonly #parts: OffloadKeeperParts;
  readonly #findings: OffloadFindings;
  readonly #records = new Map<string, RemedyRecord>();
  readonly #patience = new Patience();
  readonly #tester = new WayTester();
  /** Probe tunnels that are without their remedy for the moment. */
  readonly #bare = new Set<string>();
  #conf: OffloadConf | undefined;
  #isDue = false;
  #running: Promise<void> | undefined;
  #cancel: () => void = () => undefined;
  #againMs = againMsMin;
  #isStopped = false;
  #fault: string | undefined;

  constructor(parts: OffloadKeeperParts) {
    this.#parts = parts;
    this.#findings = new OffloadFindings(parts.log, parts.node);
    try {
      for (const record of parseRecords(parts.load() ?? '{"off":[]}')) this.#records.set(formatAddress(record.vtep), record);
    } catch (error) {
      parts.log.warn({ code: 'offload-memory', error: describeError(error) }, 'what an earlier daemon wrote down of offloads cannot be read: they are tested anew');
    }
  }

  /** Does as the configuration says from now on. */
  follow(conf: OffloadConf): void {
    this.#conf = conf;
    this.noteWays();
  }

  /** There are ways to peers that have not been tested: all are, as soon as may be. */
  noteWays(): void {
    this.#againMs = againMsMin;
    this.#begin();
  }

  /** Somebody asks for it: tests all peers as soon as may be, and whether remedies are needed still. */
  look(): void {
    this.#patience.forgo();
    this.noteWays();
  }

  /** Devices may have been made: what is off on the others is turned off on them. */
  noteDevices(): void {
    if (this.#conf?.mode === 'auto') for (const record of this.#records.values()) this.#applyEverywhere(record);
  }

  /** What is wrong, in words. */
  get faults(): readonly string[] {
    const used = new Set(this.#parts.ends().map(keyOf));
    return [...[...this.#records].filter(([key]) => used.has(key)).map(([, record]) => this.#findings.describeRemedy(record)), ...this.#findings.faults, ...(this.#fault === undefined ? [] : [this.#fault])];
  }

  /** Begins no further test, and waits for the one that is under way. What is off stays so. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#tester.stop();
    this.#cancel();
    await this.#running;
  }

  get #intervalMs(): number {
    return (this.#conf?.intervalSeconds ?? 0) * 1000;
  }

  #begin(): void {
    if (this.#isStopped || this.#conf === undefined) return;
    this.#isDue = true;
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    this.#cancel();
    let areAllHeard = true;
    while (this.#isDue && !this.#isStopped) {
      this.#isDue = false;
      areAllHeard = await this.#round();
    }
    this.#running = undefined;
    const nextMs = areAllHeard ? this.#intervalMs : Math.min(this.#intervalMs, this.#againMs);
    this.#againMs = areAllHeard ? againMsMin : this.#againMs * 2;
    if (!this.#isStopped && this.#conf?.mode !== 'off') this.#cancel = startTimer(nextMs, () => this.#begin());
  }

  /** Returns whether all peers have answered. */
  async #round(): Promise<boolean> {
    try {
      if (this.#conf?.mode !== 'auto') for (const record of [...this.#records.values()]) this.#revert(record, 'weft is told to leave them alone');
      if (this.#conf?.mode === 'off') {
        this.#findings.clear();
        return true;
      }
      const groups = Map.groupBy(this.#parts.ends(), keyOf);
      this.#findings.retain(new Set(groups.keys()));
      const heard = [];
      for (const [key, ends] of groups) heard.push(await this.#examine(key, ends));
      this.#fault = undefined;
      return heard.every((isHeard) => isHeard);
    } catch (error) {
      const fault = `offloads cannot be tested: ${describeError(error)}`;
      if (fault !== this.#fault) this.#parts.log.warn({ code: 'offload-untested', error: describeError(error) }, 'offloads cannot be tested');
      this.#fault = fault;
      return false;
    }
  }

  async #examine(key: string, ends: readonly TunnelEnd[]): Promise<boolean> {
    const record = this.#records.get(key);
    if (record !== undefined) {
      this.#applyEverywhere(record);
      if (this.#patience.isDue(key)) await this.#retest(record, ends);
    }
    const tested = await this.#tester.test(ends.flatMap((end) => end.device.tunnel.peers.map((peer) => ({ end, peer }))));
    const failed = await this.#tester.confirm(tested);
    const damaged = tested.filter(({ verdict }) => verdict === 'damaged');
    if (failed.length === 0) this.#findings.note(key, { kind: 'sound', damaged });
    else if (this.#conf?.mode === 'auto') await this.#heal(key, ends, failed);
    else this.#findings.note(key, { kind: 'reported', failed, damaged });
    return tested.every(({ verdict }) => verdict !== 'unknown');
  }

  /** Tries what has not been tried, the narrowest first. */
  async #heal(key: string, ends: readonly TunnelEnd[], failed: readonly Tested[]): Promise<void> {
    const present = this.#records.get(key);
    const vtep = (failed[0] as Tested).end.device.tunnel.vtepAddress;
    for (const remedy of candidates(failed, present?.remedy)) {
      for (const end of ends) this.#parts.devices.apply(end.device.tunnel.name, remedy);
      const after = await this.#tester.test(failed);
      if (!after.some(isFailed) && after.some(({ verdict }) => verdict === 'sound')) {
        const peers = [...(present?.peers ?? []).filter((peer) => !failed.some((other) => addressesEqual(other.peer, peer.address))), ...failed.map(asAffected)];
        return this.#adopt({ vtep, remedy, peers, since: this.#parts.now() }, present?.remedy);
      }
      for (const end of ends) this.#parts.devices.revert(end.device.tunnel.name, remedy);
    }
    if (!this.#isStopped) this.#findings.note(key, { kind: 'unhealed', failed, damaged: [] });
  }

  #adopt(record: RemedyRecord, before: Remedy | undefined): void {
    const key = formatAddress(record.vtep);
    this.#records.set(key, record);
    this.#save();
    // Of two the wider one hides whether the other is there: it goes first, and comes first.
    const isNarrower = before !== undefined && remedies.indexOf(record.remedy) < remedies.indexOf(before);
    const leave = (): void => {
      if (before !== undefined) for (const name of this.#parts.namesOf(record.vtep)) this.#parts.devices.revert(name, before);
    };
    if (isNarrower) leave();
    this.#applyEverywhere(record);
    if (!isNarrower) leave();
    this.#patience.begin(key, { now: this.#parts.now(), roundMs: this.#intervalMs });
    this.#findings.note(key, { kind: 'healed', record });
  }

  /** Whether the way is sound by now without the remedy: the probe tunnel alone is without it meanwhile. */
  async #retest(record: RemedyRecord, ends: readonly TunnelEnd[]): Promise<void> {
    const ways = ends.flatMap((end) => end.device.tunnel.peers.filter((peer) => record.peers.some(({ address }) => addressesEqual(address, peer))).map((peer) => ({ end, peer })));
    if (ways.length === 0) return this.#revert(record, 'none of the nodes concerned is a peer any more');
    const names = ends.map((end) => end.device.tunnel.name);
    let needed: Needed = 'unknown';
    try {
      for (const name of names) {
        this.#bare.add(name);
        this.#parts.devices.revert(name, record.remedy);
      }
      needed = await this.#tester.leastNeeded(ways);
      if (needed === 'segmentation' && record.remedy === 'checksum') needed = await this.#isEnough('segmentation', ways) ? 'segmentation' : 'checksum';
    } finally {
      for (const name of names) this.#bare.delete(name);
      if (needed !== 'nothing') this.#applyEverywhere(record);
    }
    if (needed === 'nothing') this.#revert(record, 'the way is sound again');
    else if (needed === 'segmentation' && record.remedy === 'checksum') this.#adopt({ ...record, remedy: needed, since: this.#parts.now() }, record.remedy);
  }

  /** Leaves the ends as they were. */
  async #isEnough(remedy: Remedy, ways: readonly Way[]): Promise<boolean> {
    const names = new Set(ways.map(({ end }) => end.device.tunnel.name));
    for (const name of names) this.#parts.devices.apply(name, remedy);
    const tested = await this.#tester.test(ways);
    for (const name of names) this.#parts.devices.revert(name, remedy);
    return tested.every(({ verdict }) => verdict === 'sound');
  }

  #revert(record: RemedyRecord, why: string): void {
    const key = formatAddress(record.vtep);
    for (const name of this.#parts.namesOf(record.vtep)) this.#parts.devices.revert(name, record.remedy);
    this.#records.delete(key);
    this.#save();
    this.#patience.end(key, this.#parts.now());
    this.#findings.noteReverted(record, why);
  }

  #applyEverywhere({ vtep, remedy }: RemedyRecord): void {
    for (const name of this.#parts.namesOf(vtep)) {
      try {
        if (!this.#bare.has(name) && this.#parts.devices.apply(name, remedy)) this.#parts.log.debug({ device: name, remedy }, 'an offload is off on one more device');
      } catch (error) {
        this.#parts.log.warn({ code: 'offload-stuck', device: name, error: describeError(error) }, 'an offload cannot be turned off');
      }
    }
  }

  #save(): void {
    try {
      this.#parts.save(formatRecords([...this.#records.values()]));
    } catch (error) {
      this.#parts.log.warn({ code: 'offload-memory', error: describeError(error) }, 'what is off cannot be written down: the next daemon will find it by itself');
    }
  }
}

function keyOf({ device }: TunnelEnd): string {
  return formatAddress(device.tunnel.vtepAddress);
}

function asAffected({ peer, node }: Tested): AffectedPeer {
  return node === undefined ? { address: peer } : { address: peer, node };
}

/** What might help, and is more than what is done already. */
function candidates(failed: readonly Tested[], present: Remedy | undefined): readonly Remedy[] {
  const least = failed.some(({ verdict }) => verdict === 'checksum') ? 'checksum' : 'segmentation';
  const from = Math.max(remedies.indexOf(least), present === undefined ? 0 : remedies.indexOf(present) + 1);
  return remedies.slice(from);
}

