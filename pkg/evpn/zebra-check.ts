/**
 * Sees that zebra knows what bgpd knows. A zebra that has started anew is told nothing by bgpd 8.4, until that is asked to begin again:
 * what is withdrawn meanwhile would stay in the kernel, and what is new would not come.
 */
import type { EvpnRoute } from '../frr/bgp-tables.ts';
import { planReplay } from '../frr/plan.ts';
import type { Speaker } from '../frr/speaker.ts';
import { readVnis, readVtepRoutes } from '../frr/tables.ts';
import type { AskOptions, Vty } from '../frr/vty.ts';
import type { ZebraVni } from '../frr/zebra-tables.ts';
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
/** bgpd finds a new zebra within ten seconds (lib/zclient.c); before, beginning again changes nothing. */
const replayEveryMs = 5000;

/** One for a listener. */
export class ZebraCheck {
  readonly #log: Log;
  #missingSince: number | undefined;
  #replayedAt = -Infinity;

  constructor(log: Log) {
    this.#log = log;
  }

  /**
   * Compares the two, and has bgpd begin again where `speaker` is given.
   *
   * @param speaker what weft has configured; absent: bgpd is not weft's to tell
   * @throws FrrError
   */
  async look({ zebra, bgpd }: Programs, speaker: Speaker | undefined, asking: AskOptions): Promise<ZebraKnowledge> {
    const missing = missingVteps(await readVnis(zebra, asking), await readVtepRoutes(bgpd, asking));
    const [first] = missing;
    if (first === undefined) {
      this.#missingSince = undefined;
      return { isComplete: true };
    }
    const now = performance.now();
    this.#missingSince ??= now;
    // It may just be on its way.
    if (now - this.#missingSince < toldWithinMs) return { isComplete: false };
    if (speaker !== undefined && now - this.#replayedAt >= replayEveryMs) {
      this.#replayedAt = now;
      await bgpd.configure(planReplay(speaker), asking);
      this.#log.info({ vteps: missing.length }, 'zebra had been told nothing since it started: bgpd begins again');
    }
    const fault = `zebra of FRR does not know of VTEP ${formatAddress(first.vtep)} in VNI ${first.vni}, which bgpd knows: bgpd has to begin again, by "no advertise-all-vni" and "advertise-all-vni"`;
    return { isComplete: false, fault };
  }
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
