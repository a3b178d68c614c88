/** Sending UDP from addresses of this node, where no answer is expected: udp(7). */
import { formatAddress, type Address } from '../netaddr/netaddr.ts';
import { bindSocket, closeSocket, openSocket, sendTo } from './libc.ts';
import { domains, encodeSocketAddress, type UdpAddress } from './socket-address.ts';

const sockDatagram = 2;
// include/linux/socket.h
const messageDontWait = 0x40;

/** Sockets that only send, one for each address that is sent from. */
export interface UdpSender {
  /** Sends a datagram from an address and any port; it never waits. What ICMP has said of an earlier one may be thrown too. @throws SystemCallError */
  send(from: Address, to: UdpAddress, data: Uint8Array): void;
  close(): void;
}

/** Opens its sockets in the thread's network namespace, when they are first used. */
export function openUdpSender(): UdpSender {
  const sockets = new Map<string, number>();
  return {
    send(from, to, data) {
      const key = formatAddress(from);
      const fd = sockets.get(key) ?? openFrom(from);
      sockets.set(key, fd);
      sendTo(fd, data, encodeSocketAddress(to), messageDontWait);
    },
    close() {
      for (const fd of sockets.values()) closeSocket(fd);
      sockets.clear();
    },
  };
}

function openFrom(address: Address): number {
  const fd = openSocket(domains[address.family], sockDatagram, 0);
  try {
    bindSocket(fd, encodeSocketAddress({ address, port: 0 }));
  } catch (error) {
    closeSocket(fd);
    throw error;
  }
  return fd;
}
