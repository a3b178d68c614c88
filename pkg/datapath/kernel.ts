/**
 * The kernel as the datapath reaches it: one object that a test can replace or make fail at any request.
 */
import { openNetlink, type Netlink } from '../netlink/netlink-socket.ts';
import { insideNetns } from '../sys/netns.ts';
import { setSysctl, trySetSysctl } from '../sys/sysctl.ts';

export interface Kernel {
  /** rtnetlink in the node's own namespace. */
  readonly route: Netlink;
  /** nfnetlink in the node's own namespace. */
  readonly netfilter: Netlink;
  /** Runs with an rtnetlink socket of another namespace, which is closed afterwards. */
  withRouteIn<T>(netnsFd: number, fn: (route: Netlink) => T): T;
  /** Sets a sysctl of the node's own namespace below /proc/sys/net. */
  setSysctl(parts: readonly string[], value: string): void;
  /** Sets sysctls of another namespace, where they exist and can be written. */
  trySetSysctlsIn(netnsFd: number, settings: readonly (readonly [parts: readonly string[], value: string])[]): void;
  close(): void;
}

/** The kernel weft runs on. Sockets are opened when they are first used. */
export function openKernel(): Kernel {
  let route: Netlink | undefined;
  let netfilter: Netlink | undefined;
  return {
    get route(): Netlink {
      return (route ??= openNetlink('route'));
    },
    get netfilter(): Netlink {
      return (netfilter ??= openNetlink('netfilter'));
    },
    withRouteIn(netnsFd, fn) {
      const socket = openNetlink('route', netnsFd);
      try {
        return fn(socket);
      } finally {
        socket.close();
      }
    },
    setSysctl,
    trySetSysctlsIn(netnsFd, settings) {
      insideNetns(netnsFd, () => {
        for (const [parts, value] of settings) trySetSysctl(parts, value);
      });
    },
    close() {
      route?.close();
      netfilter?.close();
    },
  };
}
