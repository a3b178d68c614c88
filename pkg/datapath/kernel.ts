/**
 * The kernel as the datapath reaches it: one object that a test can replace or make fail at any request.
 */
import { openNetlink, type Netlink, type NetlinkSocket } from '../netlink/netlink-socket.ts';
import { insideNetns } from '../sys/netns.ts';
import { openPacketSender, type PacketSender } from '../sys/packet.ts';
import { readSysctl, setSysctl, trySetSysctl } from '../sys/sysctl.ts';
import { removeLinksNow } from './link-removal.ts';

/** A sysctl below /proc/sys/net, and its value. */
export type Sysctl = readonly [parts: readonly string[], value: string];

export interface Kernel {
  /** rtnetlink in the node's own namespace. */
  readonly route: Netlink;
  /** nfnetlink in the node's own namespace. */
  readonly netfilter: Netlink;
  /** Runs with an rtnetlink socket of another namespace, which is closed afterwards; before it, sets those of the sysctls there that exist and can be written. */
  withRouteIn<T>(netnsFd: number, fn: (route: Netlink) => T, sysctls?: readonly Sysctl[]): T;
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

/**
 * The kernel weft runs on. Sockets are opened when they are first used.
 * @param removal default: within the call
 */
export function openKernel(removal: LinkRemoval = { remove: removeLinksNow, removeSoon: removeLinksNow }): OpenKernel {
  let route: NetlinkSocket | undefined;
  let netfilter: NetlinkSocket | undefined;
  let packets: PacketSender | undefined;
  return {
    get route(): NetlinkSocket {
      return (route ??= openNetlink('route'));
    },
    get netfilter(): NetlinkSocket {
      return (netfilter ??= openNetlink('netfilter'));
    },
    withRouteIn(netnsFd, fn, sysctls = []) {
      // Entering costs as much as several requests: it is done once.
      const socket = insideNetns(netnsFd, () => {
        for (const [parts, value] of sysctls) trySetSysctl(parts, value);
        return openNetlink('route');
      });
      try {
        return fn(socket);
      } finally {
        socket.close();
      }
    },
    readSysctl,
    setSysctl,
    removeLinks(names) {
      return removal.remove(this.route, names);
    },
    removeLinksSoon(names) {
      return removal.removeSoon(this.route, names);
    },
    sendFrame(index, frame) {
      packets ??= openPacketSender();
      packets.send(index, frame);
    },
    close() {
      route?.close();
      netfilter?.close();
      packets?.close();
    },
  };
}
