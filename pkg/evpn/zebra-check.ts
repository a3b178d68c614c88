/**
 * Sees that zebra knows what bgpd and the kernel know, which FRR 8.4 does not see to itself until bgpd is asked to begin again:
 * - A zebra that has started anew is told nothing by bgpd: what is withdrawn meanwhile would stay in the kernel, and what is new would not come;
 *   and what went from the node before it came bgpd would announce for ever.
 * - While bgpd has crashed zebra does not hear of MACs that go from the node, keeps them, and tells the next bgpd of them: where their container's
 *   interface has gone as well, without an interface; where a stand-in tells of them, at the stand-in's port, although the kernel has them there no more.
 */
import type { EvpnRoute } from '../frr/bgp-tables.ts';
import { planReplay } from '../frr/plan.ts';
import { evpnLines, type Speaker } from '../frr/speaker.ts';
import { isBgpdConnected, readMacs, readVnis, readVtepRoutes } from '../frr/tables.ts';
import type { AskOptions, Vty } from '../frr/vty.ts';
import type { ZebraMac, ZebraVni } from '../frr/zebra-tables.ts';
import type { Log } from '../log/log.ts';
import { addressesEqual, formatAddress, type Address, type Mac, type Vni } from '../netaddr/netaddr.ts';
import { standInPortName, standInVxlanName, vxlanName } from '../overlay/names.ts';

/** FRR's two programs. */
export interface Programs {
  readonly zebra: Vty;
  readonly bgpd: Vty;
}

/** Whether zebra knows all that bgpd does. */
export interface ZebraKnowledge {
  readonly isComplete: boolean;
  /** What is wrong, in words, where that lasts. */
  readonly fault?: string;
}

/** What is compared with. */
export interface Wanted {
  /** What weft has configured; absent: bgpd is not weft's to tell. */
  readonly speaker?: Speaker;
  /** Those of the node's tenants that BGP is to tell of. */
  readonly vnis: readonly Vni[];
}

/** Whether an endpoint of this node that BGP is to tell of has the MAC. */
export type EndpointLookup = (vni: Vni, mac: Mac) => boolean;

/** bgpd looks for a zebra that has started anew every ten seconds (lib/zclient.c). */
const connectedWithinMs = 12_000;
/** What bgpd tells zebra it tells within a tenth of a second. */
const toldWithinMs = 2000;
/** To begin again may take that long. Where it has not helped, the next time comes after twice as long, milliseconds. */
const firstPauseMs = 5000;
const longestPauseMs = 300_000;

/** One for a listener. */
export class ZebraCheck {
  readonly #log: Log;
  readonly #isHere: EndpointLookup;
  #last: Programs | undefined;
  #isZebraNew = false;
  #stale: ZebraMac | undefined;
  #tables: readonly ZebraVni[] = [];
  #unconnectedSince: number | undefined;
  #missingSince: number | undefined;
  #replayedAt = -Infinity;
  #pauseMs = firstPauseMs;

  constructor(log: Log, isHere: EndpointLookup) {
    this.#log = log;
    this.#isHere = isHere;
  }

  /** What zebra was found to know. */
  noteMacs(macs: readonly ZebraMac[]): void {
    this.#stale = macs.find((entry) => isStale(entry, this.#isHere));
  }

  /** Why endpoints of a VNI of this node cannot be told of, whether or not there is one yet: zebra takes another device for its tunnel. */
  rivalOf(vni: Vni): string | undefined {
    return describeRival(this.#tables.find((table) => table.vni === vni));
  }

  /**
   * Compares the two with each other and with the node, and has bgpd begin again where `speaker` is given.
   * @throws FrrError
   */
  async look(programs: Programs, { speaker, vnis }: Wanted, asking: AskOptions): Promise<ZebraKnowledge> {
    this.#note(programs);
    const { zebra, bgpd } = programs;
    const now = performance.now();
    if (!(await isBgpdConnected(zebra, asking))) return this.#unconnected(now);
    this.#unconnectedSince = undefined;
    this.#tables = await readVnis(zebra, asking);
    // What has just gone from the kernel zebra may not have heard of yet.
    if (this.#stale !== undefined) this.noteMacs(await readMacs(zebra, asking));
    const rival = vnis.map((vni) => this.rivalOf(vni)).find((words) => words !== undefined);
    const fault = describeIgnorance({ vnis, tables: this.#tables, routes: await readVtepRoutes(bgpd, asking) }) ?? describeStale(this.#stale);
    if (fault === undefined && !(this.#isZebraNew && speaker !== undefined)) {
      [this.#missingSince, this.#pauseMs] = [undefined, firstPauseMs];
      return { isComplete: true, ...(rival === undefined ? {} : { fault: rival }) };
    }
    this.#missingSince ??= now;
    // It may just be on its way.
    const isLasting = now - this.#missingSince >= toldWithinMs;
    if (speaker !== undefined && (this.#isZebraNew || (isLasting && now - this.#replayedAt >= this.#pauseMs))) {
      if (!this.#isZebraNew) this.#pauseMs = Math.min(longestPauseMs, 2 * this.#pauseMs);
      await this.#replay(bgpd, { speaker, why: this.#isZebraNew ? 'zebra has started anew and was told nothing' : fault, asking });
    }
    // The device is why the rest is missing.
    const said = rival ?? (isLasting ? fault : undefined);
    return { isComplete: false, ...(said === undefined ? {} : { fault: said }) };
  }

  async #replay(bgpd: Vty, { speaker, why, asking }: { readonly speaker: Speaker; readonly why: string | undefined; readonly asking: AskOptions }): Promise<void> {
    [this.#replayedAt, this.#isZebraNew, this.#stale] = [performance.now(), false, undefined];
    await bgpd.configure(planReplay(speaker), asking);
    this.#log.info({ why }, 'bgpd begins again, so that zebra knows what it should');
  }

  /** To begin again now would only make the other nodes believe that this one is gone. */
  #unconnected(now: number): ZebraKnowledge {
    [this.#missingSince, this.#tables] = [undefined, []];
    this.#unconnectedSince ??= now;
    return { isComplete: false, ...(now - this.#unconnectedSince < connectedWithinMs ? {} : { fault: 'bgpd of FRR is not connected to zebra: start both with the same socket, zebra first' }) };
  }

  /** A bgpd that is new itself tells its zebra all it knows. */
  #note(programs: Programs): void {
    const { zebra, bgpd } = this.#last ?? programs;
    if (bgpd !== programs.bgpd) this.#isZebraNew = false;
    else if (zebra !== programs.zebra) this.#isZebraNew = true;
    this.#last = programs;
  }
}

const remedy = `bgpd has to begin again, by "no ${evpnLines.advertise}" and "${evpnLines.advertise}"`;

/** Whether zebra takes a MAC for this node's that is not, by what weft knows of it. Pure. */
export function isStale({ vni, mac, origin }: Pick<ZebraMac, 'vni' | 'mac' | 'origin'>, isHere: EndpointLookup): boolean {
  if (origin.kind !== 'own') return false;
  return origin.interface === undefined || (origin.interface === standInPortName(vni) && !isHere(vni, mac));
}

function describeStale(stale: ZebraMac | undefined): string | undefined {
  return stale && `zebra of FRR takes ${stale.mac} in VNI ${stale.vni} for an endpoint of this node, which it is no more: ${remedy}`;
}

function describeRival(table: ZebraVni | undefined): string | undefined {
  if (table === undefined || [vxlanName(table.vni), standInVxlanName(table.vni)].includes(table.vxlanInterface)) return undefined;
  return `another VXLAN device of this node, ${table.vxlanInterface}, has VNI ${table.vni}, and zebra of FRR takes it for the tenant's: remove it, or choose another vni`;
}

/** What of a node zebra is compared with. */
export interface NodeView {
  /** Those of the node's tenants. */
  readonly vnis: readonly Vni[];
  /** What zebra knows. */
  readonly tables: readonly ZebraVni[];
  /** What bgpd knows, of type 3. */
  readonly routes: readonly EvpnRoute[];
}

/** What zebra should know by bgpd's routes, and by the node's tenants, and does not, in words; undefined where it knows all. Pure. */
export function describeIgnorance({ vnis, tables, routes }: NodeView): string | undefined {
  const [missing] = missingVteps(tables, routes);
  if (missing !== undefined) return `zebra of FRR does not know of VTEP ${formatAddress(missing.vtep)} in VNI ${missing.vni}, which bgpd knows: ${remedy}`;
  const known = new Set(tables.map(({ vni }) => vni));
  const unknown = vnis.find((vni) => !known.has(vni));
  if (unknown !== undefined) return `zebra of FRR has not found VNI ${unknown} on this node: ${remedy}`;
  const surplus = routes.find(({ kind, vni, origin }) => kind === 'vtep' && origin.kind === 'own' && vni !== undefined && !known.has(vni));
  return surplus === undefined ? undefined : `bgpd of FRR announces VNI ${surplus.vni}, which zebra has not found on this node: ${remedy}`;
}

/** VTEPs that bgpd has for VNIs of this node, and zebra has not. Pure. */
export function missingVteps(vnis: readonly ZebraVni[], routes: readonly EvpnRoute[]): { readonly vni: Vni; readonly vtep: Address }[] {
  const known = new Map(vnis.map(({ vni, remoteVteps }) => [vni, remoteVteps]));
  return routes.flatMap(({ kind, vni, nextHop, origin, isBest }) => {
    const vteps = vni === undefined ? undefined : known.get(vni);
    if (kind !== 'vtep' || vni === undefined || vteps === undefined || origin.kind === 'own' || !isBest || vteps.some((vtep) => addressesEqual(vtep, nextHop))) return [];
    return [{ vni, vtep: nextHop }];
  });
}
