/** Netlink sockets in the namespaces of tests. */
import { closeSync, openSync } from 'node:fs';
import { netnsPath, type TeardownScope } from '../testing/netns.ts';
import { openNetlink, type NetlinkSocket, type Protocol } from './netlink-socket.ts';

/** Runs with a descriptor of a named namespace, which is closed afterwards. */
export function withNetns<T>(netns: string, fn: (fd: number) => T): T {
  const fd = openSync(netnsPath(netns), 'r');
  try {
    return fn(fd);
  } finally {
    closeSync(fd);
  }
}

/** A socket in a named namespace, closed with the scope. */
export function openNetlinkIn(scope: TeardownScope, netns: string, protocol: Protocol = 'route'): NetlinkSocket {
  const socket = withNetns(netns, (fd) => openNetlink(protocol, fd));
  scope.teardown(() => socket.close());
  return socket;
}
