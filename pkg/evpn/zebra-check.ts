/**
 * Sees that zebra knows what bgpd and the kernel know, which FRR 8.4 does not see to itself until bgpd is asked to begin again:
 * - A zebra that has started anew is told nothing by bgpd: what is withdrawn meanwhile would stay in the kernel, and what is new would not come;
 *   and what went from the node before it came bgpd would announce for ever.
 * - While bgpd has crashed zebra does not hear of MACs that go from the node, keeps them without an interface, and tells the next bgpd of them.
 */
import type { EvpnRoute } from '../frr/bgp-tables.ts';
import { planReplay } from '../frr/plan.ts';
import type { Speaker } from '../frr/speaker.ts';
import { isBgpdConnected, readVnis, readVtepRoutes } from '../frr/tables.ts';
import type { AskOptions, Vty } from '../frr/vty.ts';
import type { ZebraMac, ZebraVni } from '../frr/zebra-tables.ts';
import type { Log } from '../log/log.ts';
import { addressesEqual, formatAddress, type Address, type Vni } from '../netaddr/netaddr.ts';

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

/** What bgpd tells zebra it tells within a tenth of a second. */
const toldWithinMs = 2000;
/** To begin again may take that long; more often it would not help either. */
const replayEveryMs = 5000;

/** One for a listener. */
export class ZebraCheck {
  readonly #log: Log;
  #last: Programs | undefined;
  #isZebraNew = false;
  #stale: ZebraMac | undefined;
  #missingSince: number | undefined;
  #replayedAt = -Infinity;

  constructor(log: Log) {
    this.#log = log;
  }

  /** What zebra was found to know. */
  noteMacs(macs: readonly ZebraMac[]): void {
    this.#stale = macs.find(({ origin }) => origin.kind === 'own' && origin.interface === undefined);
  }

  /**
   * Compares the two, and has bgpd begin again where `speaker` is given.
   *
   * @param speaker what weft has configured; absent: bgpd is not weft's to tell
   * @throws FrrError
   */
  async look(programs: Programs, speaker: Speaker | undefined, asking: AskOptions): Promise<ZebraKnowledge> {
    this.#note(programs);
    const { zebra, bgpd } = programs;
    // It looks for a new zebra every ten seconds (lib/zclient.c); before, to begin again would only make the other nodes believe that this one is gone.
    if (!(await isBgpdConnected(zebra, asking))) return { isComplete: false };
    const fault = describeIgnorance(await readVnis(zebra, asking), await readVtepRoutes(bgpd, asking)) ?? describeStale(this.#stale);
    if (fault === undefined && !(this.#isZebraNew && speaker !== undefined)) {
      this.#missingSince = undefined;
      return { isComplete: true };
    }
    const now = performance.now();
    this.#missingSince ??= now;
    // It may just be on its way.
    const isLasting = now - this.#missingSince >= toldWithinMs;
    if (speaker !== undefined && (isLasting || this.#isZebraNew) && now - this.#replayedAt >= replayEveryMs) {
      const why = this.#isZebraNew ? 'zebra has started anew and was told nothing' : fault;
      [this.#replayedAt, this.#isZebraNew, this.#stale] = [now, false, undefined];
      await bgpd.configure(planReplay(speaker), asking);
      this.#log.info({ why }, 'bgpd begins again, so that zebra knows what it should');
    }
    return { isComplete: false, ...(fault !== undefined && isLasting ? { fault } : {}) };
  }

  /** A bgpd that is new itself tells its zebra all it knows. */
  #note(programs: Programs): void {
    const { zebra, bgpd } = this.#last ?? programs;
    if (bgpd !== programs.bgpd) this.#isZebraNew = false;
    else if (zebra !== programs.zebra) this.#isZebraNew = true;
    this.#last = programs;
  }
}

const remedy = 'bgpd has to begin again, by "no advertise-all-vni" and "advertise-all-vni"';

function describeStale(stale: ZebraMac | undefined): string | undefined {
  return stale && `zebra of FRR takes ${stale.mac} in VNI ${stale.vni} for an endpoint of this node, which it is no more: ${remedy}`;
}

/** What zebra should know by bgpd's routes and does not, in words; undefined where it knows all. Pure. */
export function describeIgnorance(vnis: readonly ZebraVni[], routes: readonly EvpnRoute[]): string | undefined {
  const [missing] = missingVteps(vnis, routes);
  if (missing !== undefined) return `zebra of FRR does not know of VTEP ${formatAddress(missing.vtep)} in VNI ${missing.vni}, which bgpd knows: ${remedy}`;
  const known = new Set(vnis.map(({ vni }) => vni));
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
