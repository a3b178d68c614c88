/** BGP EVPN for a node: as long as the configuration asks for it, FRR is listened to and the tables of remote endpoints are kept. */
import { isDeepStrictEqual } from 'node:util';
import type { EngineParts } from '../attachment/engine-parts.ts';
import type { EvpnConf } from '../config/control-plane.ts';
import type { NodeConf } from '../config/node-model.ts';
import type { NodeRemotes } from '../datapath/remotes.ts';
import { describeError } from '../errors/weft-error.ts';
import type { BgpSession } from '../frr/bgp-tables.ts';
import type { Log } from '../log/log.ts';
import type { Address, Vni } from '../netaddr/netaddr.ts';
import type { KernelEvent } from '../netlink/monitor.ts';
import { decodeFdb, fdbChangeOf, floodMac } from '../netlink/neighbour.ts';
import { isSegmentName, standInVxlanPrefix, vxlanPrefix } from '../overlay/names.ts';
import { Keeper } from './keeper.ts';
import { Listener } from './listener.ts';
import { unheard } from './retention.ts';

/** What it works with. */
export interface EvpnParts {
  readonly engine: EngineParts;
  readonly remotes: NodeRemotes;
  readonly log: Log;
  /** The name of one of weft's links, by its index; undefined where that is not known. */
  readonly nameOf: (index: number) => string | undefined;
}

/** How long an endpoint is kept that its VTEP no longer announces, although others are. Long enough for a session that has come back to tell all it knows. */
const withdrawMs = 5000;

/** One for a daemon; it does nothing while the configuration has another control plane. */
export class Evpn {
  readonly #parts: EvpnParts;
  readonly #keeper: Keeper;
  #conf: EvpnConf | undefined;
  #vtep: NodeConf['vtep'];
  #listener: Listener | undefined;
  #following: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(parts: EvpnParts) {
    const { engine, remotes, log } = parts;
    this.#parts = parts;
    this.#keeper = new Keeper({
      engine, remotes, log,
      ear: { listen: (vnis) => this.#listener?.listen(vnis) ?? Promise.resolve(vnis.map(() => unheard)) },
      retention: () => ({ retainMs: (this.#conf?.retainSeconds ?? 0) * 1000, withdrawMs }),
    });
  }

  /** Does what the configuration says from now on, after what it said before. */
  follow(conf: NodeConf): Promise<void> {
    this.#following = this.#following.then(() => this.#change(conf));
    return this.#following;
  }

  async #change({ controlPlane, vtep }: NodeConf): Promise<void> {
    if (this.#isStopped) return;
    const conf = controlPlane?.type === 'evpn' ? controlPlane : undefined;
    if (isDeepStrictEqual([conf, vtep], [this.#conf, this.#vtep])) return;
    const before = this.#listener;
    const isSame = conf !== undefined && this.#conf !== undefined && conf.runDirectory === this.#conf.runDirectory;
    [this.#conf, this.#vtep, this.#listener] = [conf, vtep, undefined];
    // What stays is changed line by line: no session ends that the new configuration has as well.
    if (isSame && conf.managed) before?.close();
    else await before?.resign();
    if (conf !== undefined) this.#listener = new Listener({ conf, vtep: () => this.#parts.engine.underlay(vtep ?? {}, 4).vtepAddress, vnis: () => this.#keeper.vnis(), isHere: (vni, mac) => this.#keeper.hasEndpoint(vni, mac), log: this.#parts.log, onChange: () => this.#keeper.lookAtAll() });
    this.#keeper.lookAtAll();
  }

  /** What the kernel says has changed: FRR writes into it what it hears. */
  noteEvents(events: readonly KernelEvent[]): void {
    if (this.#listener === undefined) return;
    const vnis = new Set<Vni>();
    for (const { protocol, nsid, message } of events) {
      const change = protocol === 'route' && nsid === undefined ? fdbChangeOf(message) : undefined;
      if (change === undefined) continue;
      const name = this.#parts.nameOf(change.index);
      // A link that has just been made is not known by name yet.
      if (name === undefined) return this.#keeper.lookAtAll();
      const prefix = [vxlanPrefix, standInVxlanPrefix].find((candidate) => isSegmentName(name, candidate));
      if (prefix === undefined) continue;
      const vni = Number(name.slice(prefix.length)) as Vni;
      vnis.add(vni);
      const entry = change.isGone ? undefined : decodeFdb(message);
      if (entry?.mac === floodMac && entry.vtep !== undefined) void this.#keeper.meet(vni, entry.vtep);
    }
    this.#keeper.look(vnis);
  }

  /** Events were lost, or all that a switch had been told. */
  noteOverrun(): void {
    if (this.#listener !== undefined) this.#keeper.lookAtAll();
  }

  /** What is wrong, in words. */
  get faults(): readonly string[] {
    return [...(this.#listener?.faults ?? []), ...this.#keeper.remarks];
  }

  /** The sessions with the configuration's neighbours, as they were heard of last; undefined where BGP is not asked. */
  get sessions(): readonly BgpSession[] | undefined {
    return this.#listener?.sessions;
  }

  /** What keeps a tenant of this node from hearing of any other, in words. */
  obstacleOf(vni: Vni): string | undefined {
    return this.#listener?.obstacleOf(vni);
  }

  /** The VTEPs that BGP knows of for a VNI, also for one that this node does not have yet; none where BGP is not asked. Never rejects */
  async vtepsOf(vni: Vni): Promise<readonly Address[]> {
    try {
      return (await this.#listener?.vtepsOf(vni)) ?? [];
    } catch (error) {
      this.#parts.log.warn({ code: 'frr-unanswered', vni, error: describeError(error) }, 'BGP could not be asked for the VTEPs of a VNI');
      return [];
    }
  }

  /** Ends it. What FRR was told, and what was kept, stays as it is: the containers go on. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#following;
    this.#listener?.close();
    await this.#keeper.stop();
  }
}
