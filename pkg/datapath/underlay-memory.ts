/**
 * The underlay remembered, for a daemon: it changes once in months, and each ADD would read addresses and routes for it. The kernel's
 * events say when what is remembered may be wrong.
 */
import type { KernelEvent } from '../netlink/monitor.ts';
import { linkIndexOf } from '../netlink/link.ts';
import { formatAddress, type Address } from '../netaddr/netaddr.ts';
import type { Underlay, UnderlayFinder, VtepSettings } from './underlay.ts';

// include/uapi/linux/rtnetlink.h
const linkTypes: ReadonlySet<number> = new Set([16, 17]);
const addressAndRouteTypes: ReadonlySet<number> = new Set([20, 21, 24, 25]);

/** Remembers what it has found until an event speaks against it. */
export class UnderlayMemory {
  readonly #find: UnderlayFinder;
  readonly #found = new Map<string, Underlay>();

  constructor(find: UnderlayFinder) {
    this.#find = find;
  }

  /** As the finder; what it throws is not remembered. */
  find(settings: VtepSettings, family?: Address['family']): Underlay {
    const key = `${settings.interface ?? ''} ${settings.address === undefined ? '' : formatAddress(settings.address)} ${family ?? ''}`;
    const underlay = this.#found.get(key) ?? this.#find(settings, family);
    this.#found.set(key, underlay);
    return underlay;
  }

  /** To be told of every event. Those of links come with each ADD: only the underlay's own count. */
  noteEvents(events: readonly KernelEvent[]): void {
    if (this.#found.size === 0) return;
    for (const { protocol, message, nsid } of events) {
      if (protocol !== 'route' || nsid !== undefined) continue;
      if (addressAndRouteTypes.has(message.type)) this.forget();
      else if (linkTypes.has(message.type)) this.#forgetLink(linkIndexOf(message));
    }
  }

  /** Events were lost. */
  forget(): void {
    this.#found.clear();
  }

  #forgetLink(index: number): void {
    for (const [key, { linkIndex }] of this.#found) if (linkIndex === index) this.#found.delete(key);
  }
}
