/** What can be wrong with a single link of weft's, whichever it is. */
import type { BridgePortOptions } from '../netlink/bridge-options.ts';
import { setLink, setNoLinkLocal, type Link, type LinkChange } from '../netlink/link.ts';
import type { FdbEntry } from '../netlink/neighbour.ts';
import { minor, type Fault, type RouteHands } from './fault.ts';

/** A fault that a change of the link puts right. */
export function changed(name: string, fault: { what: string; done: string; change: LinkChange }): Fault<RouteHands> {
  const { what, done, change } = fault;
  return { what, remedy: { done, apply: ({ route }) => void route.request([setLink(name, change)]) } };
}

/** A fault that `addrgenmode none` puts right. */
export function linkLocalFaults({ name, hasLinkLocal }: Link): Fault<RouteHands>[] {
  if (hasLinkLocal !== true) return [];
  return [minor({ what: `${name} has IPv6 link-local addresses of its own accord (addrgenmode)`, remedy: { done: 'set to none', apply: ({ route }) => void route.request([setNoLinkLocal(name)]) } })];
}

/** Names of the options that are other than wanted; those the kernel does not know are left out. */
export function differing<Options extends object>(wanted: Options, found: Options | undefined): (keyof Options & string)[] {
  if (found === undefined) return [];
  return (Object.keys(wanted) as (keyof Options & string)[]).filter((name) => found[name] !== undefined && found[name] !== wanted[name]);
}

/** What is other than wanted in a bridge's port. */
export function portOptionFaults({ name, port }: Link, wanted: BridgePortOptions): Fault<RouteHands>[] {
  return differing(wanted, port).map((option) => {
    const state = (isOn: boolean | undefined): string => (isOn === true ? 'on' : 'off');
    return changed(name, { what: `the bridge port option ${option} of ${name} is ${state(port?.[option])}`, done: `set ${state(wanted[option])}`, change: { port: { [option]: wanted[option] } } });
  });
}

/** Static entries of other MACs than these; those of multicast groups that the port itself has joined left out. */
export function strayEntries(entries: readonly FdbEntry[], own: ReadonlySet<string | undefined>): FdbEntry[] {
  return entries.filter((entry) => entry.isStatic && entry.isExternal !== true && (entry.master !== undefined || entry.vtep !== undefined) && !own.has(entry.mac));
}
