/** What a pass looks at. */
import type { Vni } from '../netaddr/netaddr.ts';

export interface Scope {
  /** The whole node; the rest says nothing then. */
  readonly everything: boolean;
  /** Segments. */
  readonly vnis: ReadonlySet<Vni>;
  /** Ports, by host interface. */
  readonly hostIfs: ReadonlySet<string>;
  readonly guard: boolean;
  /** The VTEP's address, its link, the routes it is found by. */
  readonly underlay: boolean;
}

const nothing: Scope = { everything: false, vnis: new Set(), hostIfs: new Set(), guard: false, underlay: false };

/** The scope of a pass over the whole node. */
export const everything: Scope = { ...nothing, everything: true };

/** A scope of some parts. */
export function scopeOf(parts: Partial<Scope>): Scope {
  return { ...nothing, ...parts };
}

/** Both scopes. */
export function joinScopes(a: Scope, b: Scope): Scope {
  return {
    everything: a.everything || b.everything,
    vnis: a.vnis.union(b.vnis),
    hostIfs: a.hostIfs.union(b.hostIfs),
    guard: a.guard || b.guard,
    underlay: a.underlay || b.underlay,
  };
}
