/**
 * The underlay remembered, for a daemon: it changes once in months, and each ADD would read addresses and routes for it. The kernel's
 * events say when what is remembered may be wrong, and what of it concerns those who run over it.
 */
import type { KernelEvent } from '../netlink/monitor.ts';
import type { NetlinkMessage } from '../netlink/codec.ts';
import { decodeLink, decodeLinkName, isLinkGone, linkIndexOf } from '../netlink/link.ts';
import { decodeRoute } from '../netlink/route.ts';
import { formatAddress, formatPrefix, prefixContains, type Address } from '../netaddr/netaddr.ts';
import type { Underlay, UnderlayFinder, UnderlayLink, VtepSettings } from './underlay.ts';

// include/uapi/linux/rtnetlink.h
const linkTypes: ReadonlySet<number> = new Set([16, 17]);
const addressTypes: ReadonlySet<number> = new Set([20, 21]);
const routeTypes: ReadonlySet<number> = new Set([24, 25]);
const afBridge = 7;
/** IFF_UP, include/uapi/linux/if.h; ifi_change, at 12, says which flags the message is about (net/core/dev.c, __dev_notify_flags). */
const flagUp = 0x1;
/** What weft's own links begin with. */
const ownPrefix = 'weft-';
/** Sets of peers that may be remembered: with a control plane a tenant has one after the other. */
const foundMax = 256;

interface Found {
  readonly underlay: Underlay;
  readonly peers: readonly Address[];
}

/** Remembers what it has found until an event speaks against it. */
export class UnderlayMemory {
  readonly #find: UnderlayFinder;
  readonly #onChange: (reason: string) => void;
  readonly #hasAddress: (index: number) => boolean;
  readonly #found = new Map<string, Found>();
  /** What was forgotten and not asked for again: those who run over it are to hear of what comes next as well. */
  readonly #former = new Map<string, Found>();

  /**
   * @param onChange told why, in words, when what a tunnel runs over may have another MTU by now; at every such event
   * @param hasAddress whether a link has an address by which the kernel would make routes: most links that come up are containers' of somebody, and have none
   */
  constructor(find: UnderlayFinder, onChange: (reason: string) => void = () => undefined, hasAddress: (index: number) => boolean = () => true) {
    this.#find = find;
    this.#onChange = onChange;
    this.#hasAddress = hasAddress;
  }

  /** As the finder; what it throws is not remembered. */
  find(settings: VtepSettings, family?: Address['family'], peers: readonly Address[] = []): Underlay {
    return this.#found.get(keyOf(settings, family, peers))?.underlay ?? this.look(settings, family, peers);
  }

  /** As find(), of the kernel as it is now. */
  look(settings: VtepSettings, family?: Address['family'], peers: readonly Address[] = []): Underlay {
    const underlay = this.#find(settings, family, peers);
    const key = keyOf(settings, family, peers);
    this.#former.delete(key);
    keep(this.#found, key, { underlay, peers });
    return underlay;
  }

  /** To be told of every event. Those of links come with each ADD: only the underlay's own count, and one that comes up. */
  noteEvents(events: readonly KernelEvent[]): void {
    if (this.#found.size + this.#former.size === 0) return;
    for (const { protocol, message, nsid } of events) {
      if (protocol !== 'route' || nsid !== undefined) continue;
      if (addressTypes.has(message.type)) this.forget();
      else if (routeTypes.has(message.type)) this.#noteRoute(message);
      else if (linkTypes.has(message.type) && message.payload[0] !== afBridge) this.#noteLink(message);
    }
  }

  /** Events were lost. */
  forget(): void {
    for (const key of [...this.#found.keys()]) this.#forgetOne(key);
  }

  #forgetOne(key: string): void {
    const found = this.#found.get(key);
    if (found !== undefined) keep(this.#former, key, found);
    this.#found.delete(key);
  }

  #all(): readonly Found[] {
    return [...this.#found.values(), ...this.#former.values()];
  }

  #noteLink(message: NetlinkMessage): void {
    const index = linkIndexOf(message);
    const known = this.#all().flatMap(({ underlay }) => underlay.links).find((link) => link.index === index);
    if (known !== undefined) this.#noteKnownLink(message, known);
    else if (isComingUp(message) && !decodeLinkName(message).startsWith(ownPrefix) && this.#hasAddress(index)) this.#noteNewWay(message);
  }

  #noteKnownLink(message: NetlinkMessage, { index, name, mtu: before }: UnderlayLink): void {
    for (const [key, { underlay }] of [...this.#found]) if (underlay.links.some((link) => link.index === index)) this.#forgetOne(key);
    if (isLinkGone(message)) return this.#onChange(`${name} is gone`);
    const { mtu, isUp } = decodeLink(message);
    if (!isUp) this.#onChange(`${name} is down`);
    else if (mtu !== before) this.#onChange(`the MTU of ${name} is ${mtu} instead of ${before}`);
    else if (isComingUp(message)) this.#onChange(`${name} is up`);
  }

  /** The routes that the kernel makes for a link that has addresses come without a message. */
  #noteNewWay(message: NetlinkMessage): void {
    this.forget();
    this.#onChange(`${decodeLinkName(message)} is up`);
  }

  #noteRoute(message: NetlinkMessage): void {
    const peers = this.#all().flatMap((found) => found.peers);
    this.forget();
    const route = decodeRoute(message);
    if (route === undefined || !peers.some((peer) => prefixContains(route.dst, peer))) return;
    this.#onChange(`the route to ${formatPrefix(route.dst)} has changed`);
  }
}

/** Puts it behind the others; the oldest goes where there are too many. */
function keep(map: Map<string, Found>, key: string, found: Found): void {
  map.delete(key);
  map.set(key, found);
  const [oldest] = map.keys();
  if (map.size > foundMax && oldest !== undefined) map.delete(oldest);
}

function isComingUp({ payload }: NetlinkMessage): boolean {
  return (payload.readUInt32LE(8) & payload.readUInt32LE(12) & flagUp) !== 0;
}

function keyOf(settings: VtepSettings, family: Address['family'] | undefined, peers: readonly Address[]): string {
  return `${settings.interface ?? ''} ${settings.address === undefined ? '' : formatAddress(settings.address)} ${family ?? ''} ${peers.map(({ value }) => value).join(' ')}`;
}
