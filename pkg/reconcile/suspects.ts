/**
 * From kernel events to what must be looked at.
 *
 * An event says that something has changed, not that it is wrong, and most changes are an ADD's or a DEL's own. The kernel says
 * who asked for a change only of some kinds (not of links), so the rest is told by what is known of each link: a change of
 * nothing that weft cares about needs no look, nor does a link that is new within the window and ends up working; and of a link
 * that is gone only that counts. Whether what is left is wrong is for the pass to find out.
 *
 * One link known: its index, its fingerprint, and for a port the id of the namespace behind it; some 200 bytes each. Pure.
 */
import type { Vni } from '../netaddr/netaddr.ts';
import { decodeAddress } from '../netlink/address.ts';
import type { NetlinkMessage } from '../netlink/codec.ts';
import { decodeLink, decodeLinkName, isLinkGone, type Link } from '../netlink/link.ts';
import type { KernelEvent } from '../netlink/monitor.ts';
import { decodeRoute, tableMain } from '../netlink/route.ts';
import { damagedTable } from '../nftables/nftables.ts';
import { bridgePrefix, detourPrefixes, isPortName, isSegmentName, portPrefix, relayPrefix, shaperPrefix, sparePortPrefix, sparePrefix, standInBridgePrefix, standInPortPrefix, standInVxlanPrefix, vxlanPrefix } from '../overlay/names.ts';
import { scopeOf, type Scope } from './scope.ts';

/** Port ids of the sockets by which this process makes changes. */
export interface OwnSockets {
  readonly route: number;
  readonly netfilter: number;
}

// include/uapi/linux/rtnetlink.h
const rtm = { newLink: 16, delLink: 17, newAddress: 20, delAddress: 21, newRoute: 24, delRoute: 25, delNeighbour: 29, delQdisc: 37, delFilter: 45 } as const;
const afBridge = 7;
/** ifi_change of a link that has just been made (net/core/dev.c, register_netdevice). */
const everyFlag = 0xffffffff;
/** Names of weft's tables; those of others are nobody's business. */
const guardTables: ReadonlySet<string> = new Set(['weft', 'weft-gateway']);

/** What is known of one of weft's links. */
interface KnownLink {
  readonly index: number;
  readonly fingerprint: string;
  /** Part of the fingerprint: what it is as a bridge's port. */
  readonly portOptions: string | undefined;
  /** Of a port: the namespace of its other end. */
  readonly nsid?: number;
  readonly isUsable: boolean;
}

/** The last that a window has heard of a link. */
interface LinkNews {
  readonly message: NetlinkMessage;
  /** Whether it was made within the window. */
  readonly isNew: boolean;
  /** The container's namespace; absent: the node's own. */
  readonly nsid?: number;
}

/** What a window has seen of a link: that it was made, that something of it changed, that it went. */
type Change = 'new' | 'changed' | 'gone';

/** Gathers what the events of a window make suspect. */
export class Suspects {
  readonly #own: OwnSockets;
  /** Beyond the window: weft's links by name, names by index and by the namespace behind a port. */
  readonly #known = new Map<string, KnownLink>();
  readonly #names = new Map<number, string>();
  readonly #ports = new Map<number, string>();
  /** Fingerprints of links inside containers, by namespace and index. */
  readonly #inner = new Map<number, Map<number, string>>();
  /** Of the window: the last message of each link, by namespace and index, and of each bridge port's options. */
  readonly #links = new Map<number, LinkNews>();
  readonly #portOptions = new Map<number, NetlinkMessage>();
  readonly #changes = new Map<string, Change>();
  readonly #nsids = new Set<number>();
  #guard = false;
  #underlay = false;

  constructor(own: OwnSockets) {
    this.#own = own;
  }

  /** What is there before the first event: all links of the node. Whatever was known before is forgotten. */
  learn(links: readonly Link[]): void {
    for (const map of [this.#known, this.#names, this.#ports, this.#inner]) map.clear();
    for (const link of links) {
      if (isOwnName(link.name)) this.#remember(link);
      else if (isPortName(link.name, shaperPrefix)) this.#names.set(link.index, portOfShaper(link.name));
    }
  }

  /** The index of one of weft's links, as far as it is known. */
  indexOf(name: string): number | undefined {
    return this.#known.get(name)?.index;
  }

  /** The name of the link with the index, as far as it is known; a shaper is known by its port's. */
  nameOf(index: number): string | undefined {
    return this.#names.get(index);
  }

  /** Whether no event so far is worth a look. */
  get isEmpty(): boolean {
    return this.#links.size + this.#portOptions.size + this.#changes.size + this.#nsids.size === 0 && !this.#guard && !this.#underlay;
  }

  note(events: readonly KernelEvent[]): void {
    for (const event of events) {
      if (event.protocol === 'netfilter') this.#noteTable(event);
      else if (event.nsid === undefined) this.#noteNode(event);
      else this.#noteContainer(event, event.nsid);
    }
  }

  /** What is to be looked at, undefined where nothing is; a new window begins. */
  take(): Scope | undefined {
    this.#readLinks();
    const names = this.#suspectNames();
    const scope = scopeOf({
      vnis: new Set(names.map(vniOf).filter((vni) => vni !== undefined)),
      hostIfs: new Set(names.filter((name) => vniOf(name) === undefined)),
      guard: this.#guard,
      underlay: this.#underlay,
    });
    this.#changes.clear();
    this.#nsids.clear();
    this.#guard = false;
    this.#underlay = false;
    return names.length > 0 || scope.guard || scope.underlay ? scope : undefined;
  }

  #suspectNames(): string[] {
    const names = new Set<string>();
    for (const [name, change] of this.#changes) if (change !== 'new' || this.#known.get(name)?.isUsable !== true) names.add(name);
    for (const nsid of this.#nsids) {
      const port = this.#ports.get(nsid);
      // What an ADD does inside the container it has done before its port works.
      if (port !== undefined && this.#changes.get(port) !== 'new') names.add(port);
    }
    return [...names];
  }

  /** The daemon's own changes are no damage. */
  #noteTable({ message }: KernelEvent): void {
    if (message.portId === this.#own.netfilter || this.#guard) return;
    const table = damagedTable(message);
    if (table !== undefined && guardTables.has(table)) this.#guard = true;
  }

  #noteNode({ message }: KernelEvent): void {
    const { type, payload, portId } = message;
    switch (type) {
      case rtm.newLink:
      case rtm.delLink:
        this.#noteLink(message);
        break;
      case rtm.newAddress:
      case rtm.delAddress:
        if (portId !== this.#own.route) this.#noteAddress(message);
        break;
      case rtm.newRoute:
      case rtm.delRoute:
        if (portId !== this.#own.route) this.#noteRoute(message);
        break;
      case rtm.delNeighbour:
        if (payload[0] === afBridge) this.#noteIndex(payload.readInt32LE(4));
        break;
      case rtm.delQdisc:
      case rtm.delFilter:
        if (portId !== this.#own.route) this.#noteIndex(payload.readInt32LE(4));
        break;
    }
  }

  /** An address of one of weft's links, or else perhaps of the underlay; a link-local one is no VTEP. */
  #noteAddress(message: NetlinkMessage): void {
    const address = decodeAddress(message);
    if (address === undefined) return;
    if (this.#names.has(address.index)) this.#noteIndex(address.index);
    else if (address.scope !== 'link') this.#underlay = true;
  }

  /**
   * A route to a tenant that is lost, or a default route, by which the underlay is found. Others are a routing daemon's, and those
   * that the kernel makes for itself as a link gets carrier are in another table.
   */
  #noteRoute(message: NetlinkMessage): void {
    const route = decodeRoute(message);
    if (route === undefined || !route.isUnicast || route.table !== tableMain) return;
    if (route.index !== undefined && this.#names.has(route.index)) {
      if (message.type === rtm.delRoute) this.#noteIndex(route.index);
    } else if (route.dst.length === 0) this.#underlay = true;
  }

  #noteIndex(index: number): void {
    const name = this.#names.get(index);
    if (name !== undefined) this.#change(name, 'changed');
  }

  #noteLink(message: NetlinkMessage): void {
    const { type, payload } = message;
    const index = payload.readInt32LE(4);
    if (isLinkGone(message)) {
      this.#links.delete(index);
      this.#portOptions.delete(index);
      this.#noteGone(decodeLinkName(message), index);
    } else if (type === rtm.delLink) {
      this.#noteIndex(index); // A port has left its bridge.
    } else if (payload[0] === afBridge) {
      this.#portOptions.set(index, message);
    } else {
      this.#links.set(index, { message, isNew: isOfNewLink(message) || this.#links.get(index)?.isNew === true });
    }
  }

  #noteGone(name: string, index: number): void {
    if (isPortName(name, shaperPrefix)) {
      this.#names.delete(index);
      this.#change(portOfShaper(name), 'changed');
    } else if (isOwnName(name)) {
      this.#forget(name);
    }
  }

  /**
   * An ADD is ten messages about two links, and the last of each says all that counts: so they are read when the window ends. Those of
   * the node come first: they say whose the containers are.
   */
  #readLinks(): void {
    for (const { message, isNew, nsid } of this.#links.values()) if (nsid === undefined) this.#readLink(decodeLink(message), isNew);
    for (const message of this.#portOptions.values()) this.#notePort(decodeLink(message));
    for (const { message, nsid } of this.#links.values()) {
      // Somebody else's container is none of weft's business.
      if (nsid !== undefined && this.#ports.has(nsid) && this.#hasInnerChanged(nsid, decodeLink(message))) this.#nsids.add(nsid);
    }
    this.#links.clear();
    this.#portOptions.clear();
  }

  #readLink(link: Link, isNew: boolean): void {
    if (isPortName(link.name, shaperPrefix)) this.#noteShaper(link);
    else if (isOwnName(link.name) && this.#remember(link)) this.#change(link.name, isNew ? 'new' : 'changed');
  }

  /** The bridge's view of a port: an option of it, or that it has left; or only that it forwards. */
  #notePort({ name, port }: Link): void {
    const known = this.#known.get(name);
    if (known !== undefined && known.portOptions !== JSON.stringify(port)) this.#change(name, 'changed');
  }

  /** A limit is part of its port: what is said of the shaper's index is said of that. */
  #noteShaper({ name, index, isUp }: Link): void {
    this.#names.set(index, portOfShaper(name));
    if (!isUp) this.#change(portOfShaper(name), 'changed');
  }

  /** What was new within the window stays so, however much more is heard of it. */
  #change(name: string, change: Change): void {
    if (this.#changes.get(name) !== 'new' || change === 'gone') this.#changes.set(name, change);
  }

  /** Whether anything is other than it was known to be. */
  #remember(link: Link): boolean {
    const { name, index, linkNetnsid } = link;
    const before = this.#known.get(name);
    const fingerprint = fingerprintOf(link);
    if (before?.index === index && before.fingerprint === fingerprint) return false;
    const nsid = linkNetnsid ?? before?.nsid;
    this.#known.set(name, { index, fingerprint, portOptions: JSON.stringify(link.port), isUsable: isUsable(link), ...(nsid === undefined ? {} : { nsid }) });
    this.#names.set(index, name);
    if (nsid !== undefined && isPortName(name)) this.#ports.set(nsid, name);
    return true;
  }

  #forget(name: string): void {
    const before = this.#known.get(name);
    this.#change(name, 'gone');
    if (before === undefined) return;
    this.#known.delete(name);
    this.#names.delete(before.index);
    if (before.nsid === undefined) return;
    this.#ports.delete(before.nsid);
    this.#inner.delete(before.nsid);
  }

  /** Of a container only losses count, and changes of its links. */
  #noteContainer({ message }: KernelEvent, nsid: number): void {
    const { type, payload } = message;
    if (type === rtm.delAddress || type === rtm.delRoute || type === rtm.delLink) this.#nsids.add(nsid);
    if (type === rtm.newLink && payload[0] !== afBridge) this.#links.set(innerKey(nsid, payload.readInt32LE(4)), { message, isNew: false, nsid });
  }

  #hasInnerChanged(nsid: number, link: Link): boolean {
    const links = this.#inner.get(nsid) ?? new Map<number, string>();
    this.#inner.set(nsid, links);
    const fingerprint = fingerprintOf(link);
    if (links.get(link.index) === fingerprint) return false;
    links.set(link.index, fingerprint);
    return true;
  }
}

/** Indexes have 31 bits; links of the node's own namespace have their index alone for a key. */
function innerKey(nsid: number, index: number): number {
  return (nsid + 1) * 2 ** 32 + index;
}

function isOfNewLink({ payload }: NetlinkMessage): boolean {
  return payload.readUInt32LE(12) === everyFlag;
}

function isOwnName(name: string): boolean {
  return isPortName(name) || vniOf(name) !== undefined;
}

function portOfShaper(name: string): string {
  return `${portPrefix}${name.slice(shaperPrefix.length)}`;
}

function vniOf(name: string): Vni | undefined {
  const prefix = [bridgePrefix, vxlanPrefix, relayPrefix, sparePrefix, sparePortPrefix, standInBridgePrefix, standInVxlanPrefix, standInPortPrefix, ...Object.values(detourPrefixes)].find((candidate) => isSegmentName(name, candidate));
  return prefix === undefined ? undefined : (Number(name.slice(prefix.length)) as Vni);
}

/** All of a link that weft cares about; its carrier and counters are not among it. */
function fingerprintOf({ name, isUp, master, mtu, mac, group, alias, isArpOff, isArpIgnored, hasLinkLocal, bridge, port, vxlan }: Link): string {
  return JSON.stringify([name, isUp, master, mtu, mac, group, alias, isArpOff, isArpIgnored, hasLinkLocal, bridge, port, vxlan?.learning]);
}

/** All of weft's links are up, and all but the bridges and spare tunnels are ports of one. */
function isUsable({ name, isUp, master }: Link): boolean {
  return isUp && (master !== undefined || [bridgePrefix, relayPrefix, sparePrefix, standInBridgePrefix, ...Object.values(detourPrefixes)].some((prefix) => isSegmentName(name, prefix)));
}
