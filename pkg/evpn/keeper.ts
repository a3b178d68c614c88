/**
 * Keeps a node's tables of remote endpoints: what FRR writes into the kernel is held a second time, what it takes away without need is put back,
 * and the VTEPs that BGP tells of become the tenant's peers.
 *
 * The kernel's events say when to look: FRR has no way to tell of a change but to make it. While something is missed, or nothing can be
 * heard, time counts as well.
 */
import { changeSegment } from '../attachment/change-segment.ts';
import type { EngineParts } from '../attachment/engine-parts.ts';
import { isClosed } from '../datapath/phases.ts';
import type { NodeRemotes, SeenRemotes } from '../datapath/remotes.ts';
import { describeError } from '../errors/weft-error.ts';
import type { Log } from '../log/log.ts';
import { addressesEqual, compareAddresses, formatAddress, type Address, type Mac, type Vni } from '../netaddr/netaddr.ts';
import type { Segment } from '../overlay/model.ts';
import { startTimer } from '../sys/timer.ts';
import { planRemotes, type RemotePlan } from './remote-plan.ts';
import { Retention, unheard, type Announced, type Retained, type RetentionOptions } from './retention.ts';

/** What BGP says, as far as it can be heard. */
export interface Ear {
  /** Of these tenants, in the same order. Never rejects: then nothing can be heard. */
  listen(vnis: readonly Vni[]): Promise<readonly Announced[]>;
}

/** What a keeper works with. */
export interface KeeperParts {
  readonly engine: EngineParts;
  readonly remotes: NodeRemotes;
  readonly ear: Ear;
  readonly log: Log;
  /** As the configuration has it now. */
  readonly retention: () => Omit<RetentionOptions, 'isLocal'>;
}

/** From the first event to the look: FRR writes an endpoint's entries one after the other. */
const gatherMs = 10;
/** A look reads all of the tenant's tables. Of many thousands of endpoints that takes a while, and calls have more right to the time. */
const restFactor = 10;
const gatherMsMax = 1000;
/** While nothing can be heard, or a VTEP is missed, and after a failure. */
const againMs = 1000;
/** Addresses that FRR hears of later than of their MAC are no event. On Linux bridges they work by themselves; a switch has to be told of them. */
const addressesMs = { behindChange: 100, atLatest: 5000 } as const;

/** Looks at tenants, one round at a time. */
export class Keeper {
  readonly #parts: KeeperParts;
  readonly #tenants = new Map<Vni, Retention>();
  readonly #lost = new Map<Vni, string>();
  #due = new Set<Vni>();
  #running: Promise<void> | undefined;
  #gather: (() => void) | undefined;
  #gatherMs = gatherMs;
  readonly #timers = new Map<Vni, () => void>();
  #isStopped = false;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  /** VTEPs that are kept although BGP tells of them no longer, in words. */
  get remarks(): readonly string[] {
    return [...this.#lost.values()];
  }

  /** Asks for a look at these tenants. */
  look(vnis: Iterable<Vni>): void {
    if (this.#isStopped) return;
    for (const vni of vnis) this.#due.add(vni);
    if (this.#due.size > 0 && this.#running === undefined) this.#gather ??= startTimer(this.#gatherMs, () => this.#start());
  }

  /**
   * FRR has written down that the tenant is at this VTEP, and its endpoints beside it: what comes from there is taken from now on. A look takes its
   * time, and what is sent meanwhile would be lost.
   */
  async meet(vni: Vni, vtep: Address): Promise<void> {
    if (this.#isStopped) return;
    this.#tenants.get(vni)?.meet(vtep);
    const isNew = ({ controlPlane, peers }: Segment): boolean => controlPlane === 'evpn' && !peers.some((peer) => addressesEqual(peer, vtep));
    try {
      const { engine } = this.#parts;
      // Most are weft's own doing, and a look costs no more than that.
      const present = engine.ledger().read((tx) => tx.findSegment(vni))?.segment;
      if (present === undefined || !isNew(present)) return;
      await changeSegment(engine, vni, (current) => (isNew(current) ? { ...current, peers: [...current.peers, vtep].toSorted(compareAddresses) } : undefined));
    } catch (error) {
      this.#parts.log.warn({ code: 'evpn-peer-late', vni, vtep: formatAddress(vtep), error: describeError(error) }, 'a new VTEP could not be taken for a peer at once');
      this.#lookIn(vni, againMs);
    }
  }

  /** Asks for a look at every tenant of the node that BGP is to tell of. */
  lookAtAll(): void {
    if (this.#isStopped) return;
    this.look([...this.vnis(), ...this.#tenants.keys()]);
  }

  /** Those of the node's tenants that BGP is to tell of; none while the ledger cannot be read, which is somebody else's to tell of. */
  vnis(): readonly Vni[] {
    try {
      return this.#segments().map(({ vni }) => vni);
    } catch (error) {
      this.#parts.log.warn({ code: 'evpn-compare-failed', error: describeError(error) }, 'the remote endpoints could not be compared with BGP');
      return [];
    }
  }

  /** Whether the tenant has an endpoint on this node with the MAC that is not on its way from or to another one. @throws WeftError where the ledger cannot be read */
  hasEndpoint(vni: Vni, mac: Mac): boolean {
    return this.#parts.engine.ledger().read((tx) => tx.listAttachments({ vni }).some(({ port }) => port.mac === mac && !isClosed(port)));
  }

  /** Begins no further look, and waits for the one that is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#gather?.();
    for (const cancel of this.#timers.values()) cancel();
    await this.#running;
  }

  #segments(): Segment[] {
    return this.#parts.engine.ledger().read((tx) => tx.listSegments().map((entry) => entry.segment).filter(({ controlPlane }) => controlPlane === 'evpn'));
  }

  #start(): void {
    this.#gather = undefined;
    this.#running = this.#run().then(() => {
      this.#running = undefined;
      this.look([]);
    });
  }

  /** One round over what is due. */
  async #run(): Promise<void> {
    const [vnis, startedAt] = [this.#due, performance.now()];
    this.#due = new Set();
    try {
      await this.#round(vnis);
    } catch (error) {
      this.#parts.log.warn({ code: 'evpn-compare-failed', error: describeError(error) }, 'the remote endpoints could not be compared with BGP');
      for (const vni of vnis) this.#lookIn(vni, againMs);
    }
    this.#gatherMs = Math.min(gatherMsMax, Math.max(gatherMs, restFactor * (performance.now() - startedAt)));
  }

  async #round(vnis: ReadonlySet<Vni>): Promise<void> {
    const segments = this.#segments().filter(({ vni }) => vnis.has(vni));
    for (const vni of vnis) if (!segments.some((segment) => segment.vni === vni)) this.#forget(vni);
    // In this order: what the kernel has and BGP does not say has been withdrawn since, and not yet to come.
    const seen = await Promise.all(segments.map((segment) => this.#try(segment, () => this.#parts.remotes.observeRemotes(segment))));
    const announced = await this.#parts.ear.listen(segments.map(({ vni }) => vni));
    for (const [index, segment] of segments.entries()) {
      const own = seen[index];
      if (own !== undefined) await this.#try(segment, () => this.#compare(segment, own, announced[index] ?? unheard));
    }
  }

  /** A switch that is away is no reason to leave the tenants of Linux bridges alone. */
  async #try<T>({ vni, tenant }: Segment, work: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.#parts.log.warn({ code: 'evpn-compare-failed', tenant, vni, error: describeError(error) }, 'the remote endpoints could not be compared with BGP');
      this.#lookIn(vni, againMs);
      return undefined;
    }
  }

  async #compare(segment: Segment, seen: SeenRemotes, announced: Announced): Promise<void> {
    const { engine } = this.#parts;
    const { vni } = segment;
    const ports = engine.ledger().read((tx) => tx.listAttachments({ vni })).map(({ port }) => port);
    const macsOf = (areAway: boolean): ReadonlySet<Mac> => new Set(ports.filter((port) => isClosed(port) === areAway).map(({ mac }) => mac));
    const [local, away] = [macsOf(false), macsOf(true)];
    const isLocal = (mac: Mac): boolean => local.has(mac);
    const retention = this.#tenants.get(vni) ?? new Retention({ vteps: segment.peers, endpoints: [...seen.held, ...seen.present] });
    this.#tenants.set(vni, retention);
    const kept = retention.look(performance.now(), announced, { ...this.#parts.retention(), isLocal });
    await this.#settlePeers(segment, kept);
    const plan = planRemotes({ kept, announced, seen, isLocal, isAway: (mac) => away.has(mac) });
    await this.#carryOut(segment, plan);
    this.#noteLost(segment, kept);
    // What FRR writes again as it is already the kernel tells nobody: that a VTEP is back, or that an endpoint is where learning had moved it.
    const isSettled = announced.isHearing && kept.lost.length === 0 && plan.restore.length === 0;
    const addressesAfter = segment.datapath === 'ovs' ? addressesMs[plan.hold.length > 0 ? 'behindChange' : 'atLatest'] : Infinity;
    const nextMs = Math.min(kept.dueMs ?? Infinity, addressesAfter, isSettled ? Infinity : againMs);
    if (nextMs < Infinity) this.#lookIn(vni, nextMs);
  }

  async #settlePeers({ vni, tenant, peers }: Segment, { vteps }: Retained): Promise<void> {
    const inWords = (list: Segment['peers']): string => list.map(formatAddress).join(', ');
    if (inWords(peers) === inWords(vteps)) return;
    const isChanged = await changeSegment(this.#parts.engine, vni, (current) => (inWords(current.peers) === inWords(vteps) ? undefined : { ...current, peers: vteps }));
    if (isChanged) this.#parts.log.info({ tenant, vni, peers: inWords(vteps) }, 'the peers that BGP tells of have changed');
  }

  async #carryOut(segment: Segment, { hold, restore, drop }: RemotePlan): Promise<void> {
    const { remotes, log } = this.#parts;
    const { tenant, vni } = segment;
    if (hold.length > 0) await remotes.holdRemotes(segment, hold);
    if (restore.length > 0) {
      await remotes.restoreRemotes(segment, restore);
      log.debug({ tenant, vni, endpoints: restore.length }, 'put back what FRR had taken out of the kernel');
    }
    if (drop.length > 0) {
      await remotes.dropRemotes(segment, drop);
      log.debug({ tenant, vni, endpoints: drop.length }, 'removed endpoints that are on no other node any more');
    }
  }

  /** Said once. */
  #noteLost({ tenant, vni }: Segment, { lost }: Retained): void {
    const words = lost.length === 0 ? undefined : `tenant ${tenant}: BGP does not tell of ${lost.map(formatAddress).join(', ')} any more; what was there is kept for now`;
    if (words === this.#lost.get(vni)) return;
    if (words === undefined) {
      this.#lost.delete(vni);
      this.#parts.log.info({ tenant, vni }, 'no VTEP is missed any more');
    } else {
      this.#lost.set(vni, words);
      this.#parts.log.warn({ code: 'evpn-retained', tenant, vni }, words);
    }
  }

  #lookIn(vni: Vni, ms: number): void {
    this.#timers.get(vni)?.();
    this.#timers.set(vni, startTimer(ms, () => {
      this.#timers.delete(vni);
      this.look([vni]);
    }));
  }

  #forget(vni: Vni): void {
    this.#tenants.delete(vni);
    this.#lost.delete(vni);
    this.#timers.get(vni)?.();
    this.#timers.delete(vni);
  }
}
