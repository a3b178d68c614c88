/**
 * The paths to all peers of a node's tenants: which there are, when each is looked at, and what is known of them.
 *
 * One full-size packet for each peer every `path.intervalSeconds`, as long as there are no more than `probesPerSecond` a second; with more peers the
 * interval grows with them. A daemon whose tenants have no peers sends nothing, and has no socket open.
 */
import type { PathConf } from '../config/path-conf.ts';
import { describeError } from '../errors/weft-error.ts';
import type { Log } from '../log/log.ts';
import { addressesEqual, compareAddresses, formatAddress, type Address } from '../netaddr/netaddr.ts';
import { linkIndexOf } from '../netlink/link.ts';
import type { KernelEvent } from '../netlink/monitor.ts';
import type { PathsStatus, RecentProbes } from '../report/paths.ts';
import { startTimer } from '../sys/timer.ts';
import type { Egress } from './egress.ts';
import { Ends, type OpenEnd } from './ends.ts';
import { mtuMinOf, pathKey, PathFindings, type Path } from './findings.ts';
import type { FindingsFile } from './findings-file.ts';
import type { ProbeEndOptions } from './probe-end.ts';
import type { ProbeTotals } from './meter.ts';
import type { Prober, ProbeWay } from './prober.ts';
import { Round } from './round.ts';
import { Turns } from './turns.ts';

export interface PathsParts {
  readonly log: Log;
  /** This node's name. */
  readonly node: () => string;
  /** The paths that tenants use, as the ledger has them; each may be there several times. @throws WeftError */
  readonly paths: () => readonly Path[];
  /** How packets to a peer leave this node; undefined where they do not. */
  readonly egress: (peer: Address) => Egress | undefined;
  /** Opens an end. @throws SystemCallError */
  readonly openEnd: (options: ProbeEndOptions) => OpenEnd;
  /** Asks inside the tunnel; undefined where there is none to the peer. Absent: the underlay alone is asked. */
  readonly tunnelProber?: (path: Path) => Prober | undefined;
  readonly file: FindingsFile;
  /** What the findings say of MTUs has changed. */
  readonly onChange: (reason: string) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Of a node, all peers together: with 9000 bytes 3.6 Mbit/s, and with 100 peers each every 2 s. */
const probesPerSecond = 50;
/** Peers that are looked at at once: a search sends two dozen packets at a time. */
const looksAtOnce = 32;
/** Events come in crowds. */
const settleMs = 200;
/** FRR's entry for a new peer is in the kernel before the peer is in the ledger. */
const ledgerLagMs = 2000;
/** Of the event loop a storm of events gets a tenth at most. */
const restFactor = 10;

// include/uapi/linux/rtnetlink.h: RTM_NEWLINK and DELLINK, NEWADDR and DELADDR, NEWROUTE and DELROUTE, NEWNEIGH and DELNEIGH.
const linkTypes: ReadonlySet<number> = new Set([16, 17]);
const addressAndRouteTypes: ReadonlySet<number> = new Set([20, 21, 24, 25]);
const neighbourTypes: ReadonlySet<number> = new Set([28, 29]);

interface Known {
  readonly path: Path;
  /** The underlay's, and the tunnel's where that is asked. */
  readonly rounds: readonly Round[];
  egress: Egress | undefined;
}

/** What the probes of one way to a peer have measured. */
export interface PathMeasurement {
  readonly vtep: string;
  readonly peer: string;
  readonly way: ProbeWay;
  readonly totals: ProbeTotals;
  readonly recent: RecentProbes;
}

/** One for a daemon. Its knowledge (findings) is there from the start. */
export class Paths {
  readonly findings: PathFindings;
  readonly #parts: PathsParts;
  readonly #ends: Ends;
  /** A tunnel's look waits for one at the underlay, so they do not share them. */
  readonly #turns = { underlay: new Turns(looksAtOnce), tunnel: new Turns(looksAtOnce) };
  readonly #known = new Map<string, Known>();
  #conf: PathConf;
  #isStopped = false;
  #fault: string | undefined;
  #cancel: () => void = () => undefined;
  #cancelLag: () => void = () => undefined;
  #isLagging = false;
  /** When it may be looked again: after looks that took long, later. */
  #restsUntil = 0;
  #isLookDue = false;
  /** Links of which the kernel has said something since the last look. */
  readonly #disturbed = new Set<number>();
  /** VTEPs of all peers. */
  #peers: ReadonlySet<string> = new Set();

  constructor(parts: PathsParts, conf: PathConf) {
    this.#parts = parts;
    this.#conf = conf;
    this.findings = new PathFindings(parts, conf);
    this.#ends = new Ends({
      log: parts.log,
      open: (at) => parts.openEnd({ at, node: parts.node, isPeer: (address) => this.#peers.has(formatAddress(address)), onAsked: (peer) => this.#noteAsked(at.address, peer), onNamed: (peer, node) => this.findings.name(peer, node) }),
      onOpened: () => this.#lookAtAll(),
    });
  }

  /** Does what the configuration says from now on. The first time: begins. */
  follow(conf: PathConf): void {
    this.#conf = conf;
    this.findings.follow(conf);
    this.#refresh({ isDisturbed: true });
  }

  /** Peers may have come or gone. */
  look(): void {
    this.#schedule();
  }

  /** What the kernel says has changed: tenants come and go with links, and the underlay's own say that a path may be another one. */
  noteEvents(events: readonly KernelEvent[]): void {
    if (this.#isStopped || !this.#conf.probe) return;
    for (const { protocol, message, nsid } of events) {
      if (protocol !== 'route' || nsid !== undefined) continue;
      if (addressAndRouteTypes.has(message.type)) this.#ends.retry();
      if (linkTypes.has(message.type)) this.#disturbed.add(linkIndexOf(message));
      if (linkTypes.has(message.type) || addressAndRouteTypes.has(message.type)) this.#schedule();
      else if (neighbourTypes.has(message.type)) this.#scheduleLag();
    }
  }

  /** Events were lost. */
  noteOverrun(): void {
    if (!this.#isStopped) this.#refresh({ isDisturbed: true });
  }

  get status(): PathsStatus {
    const { probe } = this.#conf;
    const faults = [...this.#ends.faults, ...(this.#fault === undefined ? [] : [this.#fault])];
    const now = performance.now();
    const paths = this.findings.paths.map((path) => {
      const recent = this.#known.get(`${path.vtep} ${path.peer}`)?.rounds[0]?.meter.recent(now);
      return recent === undefined ? path : { ...path, recent };
    });
    return { isProbing: probe, intervalMs: this.#intervalMs(), faults, paths };
  }

  /** What probes have measured, of each path and way. */
  get measurements(): readonly PathMeasurement[] {
    const now = performance.now();
    return [...this.#known.values()].flatMap(({ path, rounds }) => rounds.map(({ way, meter }) => ({ vtep: formatAddress(path.vtep), peer: formatAddress(path.peer), way, totals: meter.totals, recent: meter.recent(now) })));
  }

  /** Ends it; what is known stays on the disk. */
  stop(): void {
    this.#isStopped = true;
    this.#cancel();
    this.#cancelLag();
    for (const { rounds } of this.#known.values()) rounds.forEach((round) => round.stop());
    this.#ends.close();
  }

  #schedule(): void {
    if (this.#isLookDue || this.#isStopped) return;
    this.#isLookDue = true;
    const waitMs = Math.max(settleMs, this.#restsUntil - performance.now());
    this.#cancel = startTimer(waitMs, () => this.#refresh({ isDisturbed: false }));
  }

  #scheduleLag(): void {
    if (this.#isLagging || this.#isStopped) return;
    this.#isLagging = true;
    this.#cancelLag = startTimer(ledgerLagMs, () => {
      this.#isLagging = false;
      this.#schedule();
    });
  }

  /** Reads anew which paths there are and how they leave this node; what has changed is looked at now. */
  #refresh({ isDisturbed }: { readonly isDisturbed: boolean }): void {
    if (this.#isStopped) return;
    this.#cancel();
    this.#isLookDue = false;
    const startedAt = performance.now();
    const paths = this.#conf.probe ? this.#readPaths() : [];
    if (paths !== undefined) this.#followAll(paths, isDisturbed);
    const endedAt = performance.now();
    this.#restsUntil = endedAt + (endedAt - startedAt) * restFactor;
  }

  #followAll(paths: readonly Path[], isDisturbed: boolean): void {
    const wanted = new Map(paths.map((path) => [pathKey(path), path]));
    for (const [key, { rounds }] of this.#known) {
      if (wanted.has(key)) continue;
      rounds.forEach((round) => round.stop());
      this.#known.delete(key);
    }
    this.#peers = new Set([...wanted.values()].map(({ peer }) => formatAddress(peer)));
    this.findings.keep([...wanted.values()]);
    this.#ends.follow(distinct([...wanted.values()].map(({ vtep }) => vtep)), this.#conf.port);
    for (const [key, path] of wanted) this.#follow(key, path, isDisturbed);
    this.#disturbed.clear();
  }

  #readPaths(): readonly Path[] | undefined {
    try {
      const paths = this.#parts.paths();
      this.#fault = undefined;
      return paths;
    } catch (error) {
      this.#fault = `which other nodes there are cannot be read: ${describeError(error)}`;
      return undefined;
    }
  }

  #follow(key: string, path: Path, isDisturbed: boolean): void {
    const egress = this.#egressTo(path.peer);
    const known = this.#known.get(key);
    if (known !== undefined) {
      const hasChanged = isOther(known.egress, egress) || (egress !== undefined && this.#disturbed.has(egress.linkIndex));
      known.egress = egress;
      if (hasChanged || isDisturbed) known.rounds.forEach((round) => round.soon());
      return;
    }
    const rounds = this.#newRounds(path);
    this.#known.set(key, { path, egress, rounds });
    rounds.forEach((round) => round.soon());
  }

  #newRounds(path: Path): readonly Round[] {
    const { now, tunnelProber } = this.#parts;
    const common = {
      path, now, findings: this.findings,
      fullBytes: () => this.#egressTo(path.peer)?.mtuBytes,
      floorBytes: () => mtuMinOf(this.#conf, path.peer.family),
      intervalMs: () => this.#intervalMs(),
    };
    const underlay = new Round({ ...common, way: 'underlay', prober: () => this.#ends.at(path.vtep), turn: (work) => this.#turns.underlay.take(work) });
    if (tunnelProber === undefined) return [underlay];
    return [underlay, new Round({ ...common, way: 'tunnel', prober: () => tunnelProber(path), below: () => underlay.fresh(), turn: (work) => this.#turns.tunnel.take(work) })];
  }

  #egressTo(peer: Address): Egress | undefined {
    try {
      return this.#parts.egress(peer);
    } catch (error) {
      this.#fault = `how packets to ${formatAddress(peer)} leave this node cannot be read: ${describeError(error)}`;
      return undefined;
    }
  }

  #intervalMs(): number {
    const rounds = this.#known.size * (this.#parts.tunnelProber === undefined ? 1 : 2);
    return Math.max(this.#conf.intervalSeconds, rounds / probesPerSecond) * 1000;
  }

  #lookAtAll(): void {
    for (const { rounds } of this.#known.values()) rounds.forEach((round) => round.soon());
  }

  #noteAsked(vtep: Address, peer: Address): void {
    this.#known.get(pathKey({ vtep, peer }))?.rounds.forEach((round) => round.noteAlive());
  }
}

function isOther(before: Egress | undefined, now: Egress | undefined): boolean {
  return before?.linkIndex !== now?.linkIndex || before?.mtuBytes !== now?.mtuBytes || (before?.gateway && formatAddress(before.gateway)) !== (now?.gateway && formatAddress(now.gateway));
}

function distinct(addresses: readonly Address[]): readonly Address[] {
  return [...addresses].sort(compareAddresses).filter((address, index, all) => index === 0 || !addressesEqual(address, all[index - 1] as Address));
}
