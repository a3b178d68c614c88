/** For tests: a kernel that writes down what is written to it. */
import type { NetlinkRequest } from '../netlink/codec.ts';
import type { Netlink } from '../netlink/netlink-socket.ts';
import type { Kernel } from './kernel.ts';

/** Requests that only read: RTM_GETLINK, GETADDR, GETROUTE, GETNEIGH, GETQDISC, GETTFILTER; NFT_MSG_GETTABLE, GETCHAIN, GETRULE, GETSETELEM. */
const reading: ReadonlySet<number> = new Set([18, 22, 26, 30, 38, 46, 0x0a01, 0x0a04, 0x0a07, 0x0a0d]);

/** The kernel, with each request that may change something noted in `writes`. */
export function recordingKernel(kernel: Kernel, writes: string[]): Kernel {
  const recorded: Kernel = {
    get route(): Netlink {
      return recordingNetlink(kernel.route, writes);
    },
    get netfilter(): Netlink {
      return recordingNetlink(kernel.netfilter, writes);
    },
    withRouteIn(netnsFd, fn, sysctls = []) {
      writes.push(...sysctls.map(([parts]) => `set sysctl ${parts.join('.')} of a container`));
      return kernel.withRouteIn(netnsFd, (route) => fn(recordingNetlink(route, writes)), sysctls);
    },
    requestAside: async (requests) => recordingNetlink(kernel.route, writes).request(requests),
    requestAsideIn: async (netnsFd, requests, sysctls) => recorded.withRouteIn(netnsFd, (route) => route.request(requests), sysctls),
    company: kernel.company,
    setTxChecksumIn(netnsFd, name, isOffloaded) {
      writes.push(`set the checksums of ${name}`);
      kernel.setTxChecksumIn(netnsFd, name, isOffloaded);
    },
    readSysctl: (parts) => kernel.readSysctl(parts),
    setSysctl(parts, value) {
      writes.push(`set sysctl ${parts.join('.')}`);
      kernel.setSysctl(parts, value);
    },
    removeLinks(names) {
      writes.push('remove links');
      return kernel.removeLinks(names);
    },
    removeLinksSoon(names) {
      writes.push('remove links');
      return kernel.removeLinksSoon(names);
    },
    sendFrame(index, frame) {
      writes.push('send a frame');
      kernel.sendFrame(index, frame);
    },
    sendDatagram(from, to, data) {
      writes.push('send a datagram');
      kernel.sendDatagram(from, to, data);
    },
    close: () => kernel.close(),
  };
  return recorded;
}

function recordingNetlink(netlink: Netlink, writes: string[]): Netlink {
  const note = (requests: readonly NetlinkRequest[]): void => void writes.push(...requests.filter(({ type }) => !reading.has(type)).map(({ what }) => what));
  return {
    request(requests) {
      note(requests);
      return netlink.request(requests);
    },
    tryRequest(requests) {
      note(requests);
      return netlink.tryRequest(requests);
    },
    dump(request) {
      note([request]);
      return netlink.dump(request);
    },
    close: () => netlink.close(),
  };
}
