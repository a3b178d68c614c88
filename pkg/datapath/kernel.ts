/**
 * The kernel as the datapath reaches it: one object that a test can replace or make fail at any request.
 */
import type { NetlinkMessage, NetlinkRequest } from '../netlink/codec.ts';
import { NetlinkQueue } from '../netlink/netlink-queue.ts';
import { openNetlink, type Netlink, type NetlinkSocket } from '../netlink/netlink-socket.ts';
import { alone, type Company } from '../sys/company.ts';
import { setTxChecksum } from '../sys/ethtool.ts';
import { insideNetns } from '../sys/netns.ts';
import { openPacketSender, type PacketSender } from '../sys/packet.ts';
import type { UdpAddress } from '../sys/socket-address.ts';
import { readSysctl, setSysctl, trySetSysctl } from '../sys/sysctl.ts';
import { openUdpSender, type UdpSender } from '../sys/udp-sender.ts';
import type { Address } from '../netaddr/netaddr.ts';
import { removeLinksNow } from './link-removal.ts';

/** A sysctl below /proc/sys/net, and its value. */
export type Sysctl = readonly [parts: readonly string[], value: string];

export interface Kernel {
  /** rtnetlink in the node's own namespace. */
  readonly route: Netlink;
  /** nfnetlink in the node's own namespace. */
  readonly netfilter: Netlink;
  /** The calls that are under way. */
  readonly company: Company;
  /** Runs with an rtnetlink socket of another namespace, which is closed afterwards; before it, sets those of the sysctls there that exist and can be written. */
  withRouteIn<T>(netnsFd: number, fn: (route: Netlink) => T, sysctls?: readonly Sysctl[]): T;
  /** As route.request(); where more than one call is under way, beside the event loop and together with the others' requests. */
  requestAside(requests: readonly NetlinkRequest[]): Promise<NetlinkMessage[][]>;
  /** As withRouteIn() of one request(); where more than one call is under way, beside the event loop. */
  requestAsideIn(netnsFd: number, requests: readonly NetlinkRequest[], sysctls?: readonly Sysctl[]): Promise<NetlinkMessage[][]>;
  /** Whether an interface of another namespace leaves the checksums of what it sends to whoever receives it. @throws SystemCallError */
  setTxChecksumIn(netnsFd: number, name: string, isOffloaded: boolean): void;
  /** A sysctl's value of the node's own namespace, below /proc/sys/net; undefined where there is none. */
  readSysctl(parts: readonly string[]): string | undefined;
  /** Sets a sysctl of the node's own namespace below /proc/sys/net. */
  setSysctl(parts: readonly string[], value: string): void;
  /**
   * Removes links of the node's own namespace, whichever of them are there. When the call returns they are doomed, and nothing
   * keeps them any more; when the promise is fulfilled they are gone. @throws NetlinkError
   */
  removeLinks(names: readonly string[]): Promise<void>;
  /** As removeLinks(), but they may be doomed a moment later, together with others: for links that nobody can use by then. */
  removeLinksSoon(names: readonly string[]): Promise<void>;
  /** Sends a frame out of a link of the node's own namespace. @throws SystemCallError */
  sendFrame(index: number, frame: Uint8Array): void;
  /** Sends a UDP datagram from an address of the node's own namespace. @throws SystemCallError */
  sendDatagram(from: Address, to: UdpAddress, data: Uint8Array): void;
  close(): void;
}

/** A kernel over sockets, of which events say which of them caused a change. */
export interface OpenKernel extends Kernel {
  readonly route: NetlinkSocket;
  readonly netfilter: NetlinkSocket;
}

/** How links are removed; `route` makes requests in the node's namespace. */
export interface LinkRemoval {
  /** Kernel.removeLinks. */
  remove(route: Netlink, names: readonly string[]): Promise<void>;
  /** Kernel.removeLinksSoon. */
  removeSoon(route: Netlink, names: readonly string[]): Promise<void>;
}

export interface KernelOptions {
  /** Default: within the call. */
  readonly removal?: LinkRemoval;
  /** The calls that are under way, which could use the time that one of them spends in the kernel. Default: one. */
  readonly company?: Company;
}

/** The kernel weft runs on. Sockets are opened when they are first used. */
export function openKernel(options: KernelOptions = {}): OpenKernel {
  return new SocketKernel(options);
}

class SocketKernel implements OpenKernel {
  readonly #removal: LinkRemoval;
  readonly company: Company;
  readonly #queue = new NetlinkQueue(() => openNetlink('route'));
  #route: NetlinkSocket | undefined;
  #netfilter: NetlinkSocket | undefined;
  #packets: PacketSender | undefined;
  #datagrams: UdpSender | undefined;

  constructor({ removal = { remove: removeLinksNow, removeSoon: removeLinksNow }, company = alone }: KernelOptions) {
    this.#removal = removal;
    this.company = company;
  }

  get route(): NetlinkSocket {
    return (this.#route ??= openNetlink('route'));
  }

  get netfilter(): NetlinkSocket {
    return (this.#netfilter ??= openNetlink('netfilter'));
  }

  withRouteIn<T>(netnsFd: number, fn: (route: Netlink) => T, sysctls: readonly Sysctl[] = []): T {
    const socket = openRouteIn(netnsFd, sysctls);
    try {
      return fn(socket);
    } finally {
      socket.close();
    }
  }

  async requestAside(requests: readonly NetlinkRequest[]): Promise<NetlinkMessage[][]> {
    return this.company.isAlone() ? this.route.request(requests) : this.#queue.request(requests);
  }

  async requestAsideIn(netnsFd: number, requests: readonly NetlinkRequest[], sysctls: readonly Sysctl[] = []): Promise<NetlinkMessage[][]> {
    const socket = openRouteIn(netnsFd, sysctls);
    try {
      return this.company.isAlone() ? socket.request(requests) : await socket.requestAside(requests);
    } finally {
      socket.close();
    }
  }

  setTxChecksumIn(netnsFd: number, name: string, isOffloaded: boolean): void {
    insideNetns(netnsFd, () => setTxChecksum(name, isOffloaded));
  }

  readSysctl(parts: readonly string[]): string | undefined {
    return readSysctl(parts);
  }

  setSysctl(parts: readonly string[], value: string): void {
    setSysctl(parts, value);
  }

  removeLinks(names: readonly string[]): Promise<void> {
    return this.#removal.remove(this.route, names);
  }

  removeLinksSoon(names: readonly string[]): Promise<void> {
    return this.#removal.removeSoon(this.route, names);
  }

  sendFrame(index: number, frame: Uint8Array): void {
    (this.#packets ??= openPacketSender()).send(index, frame);
  }

  sendDatagram(from: Address, to: UdpAddress, data: Uint8Array): void {
    (this.#datagrams ??= openUdpSender()).send(from, to, data);
  }

  close(): void {
    this.#queue.close();
    this.#route?.close();
    this.#netfilter?.close();
    this.#packets?.close();
    this.#datagrams?.close();
  }
}

/** Entering a namespace costs as much as several requests: it is done once. */
function openRouteIn(netnsFd: number, sysctls: readonly Sysctl[]): NetlinkSocket {
  return insideNetns(netnsFd, () => {
    for (const [parts, value] of sysctls) trySetSysctl(parts, value);
    return openNetlink('route');
  });
}
