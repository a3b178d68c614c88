/** The veth pair of an attachment: made straight into the container's namespace, whatever the host's end is plugged into. */
import { WeftError } from '../errors/weft-error.ts';
import { addAddress } from '../netlink/address.ts';
import type { NetlinkMessage, NetlinkRequest } from '../netlink/codec.ts';
import { addVeth, decodeLink, getLink, setLink, setNoLinkLocal } from '../netlink/link.ts';
import { isRefusal } from '../netlink/netlink-error.ts';
import type { Netlink } from '../netlink/netlink-socket.ts';
import { addRoute } from '../netlink/route.ts';
import type { Mac } from '../netaddr/netaddr.ts';
import type { AttachmentPort } from '../overlay/model.ts';
import type { PortRequest } from './datapath.ts';
import type { Exchange, Exchanges } from './exchange.ts';
import { findLinks } from './find-links.ts';
import type { Kernel, Sysctl } from './kernel.ts';

/** The host's end of a new veth pair. */
export interface HostEnd {
  readonly index: number;
  readonly mac: Mac;
  /** The container's end, as its namespace numbers it. */
  readonly peerIndex: number;
}

/**
 * Makes the pair, down at both ends. @param master index of the bridge that the host's end becomes a port of
 * @throws WeftError interfaceExists, tryAgainLater where one of the names is taken; NetlinkError
 */
export function* makeVeth(kernel: Kernel, { port, netnsFd }: Pick<PortRequest, 'port' | 'netnsFd'>, master?: number): Exchanges<HostEnd> {
  const peer = { name: port.containerIf, mac: port.mac, netnsFd };
  try {
    const [, read] = yield { requests: [addVeth({ name: port.hostIf, mtu: port.mtu, peer, ...(master === undefined ? {} : { master }) }), getLink(port.hostIf)] };
    const { index, mac, lower = index } = decodeLink(read?.[0] as NetlinkMessage);
    return { index, mac: mac as Mac, peerIndex: lower };
  } catch (error) {
    if (isRefusal(error, 'EEXIST')) throw interfaceExists(kernel.route, port, error);
    throw error;
  }
}

function interfaceExists(route: Netlink, port: AttachmentPort, cause: unknown): WeftError {
  if (findLinks(route, [port.hostIf])[0] === undefined) {
    return new WeftError('interfaceExists', `CNI_IFNAME must be a name that is free in the container: ${port.containerIf} exists`, { cause });
  }
  return new WeftError('tryAgainLater', `The host interface ${port.hostIf} of this attachment still exists`, { cause, details: 'an earlier ADD was interrupted: call DEL, then ADD again' });
}

function hasIp6({ addresses }: AttachmentPort): boolean {
  return addresses.some(({ address }) => address.family === 6);
}

/** The link-local address is made from a MAC that nobody else may use: it need not be looked for (RFC 4862 §5.1, DupAddrDetectTransmits). */
function sysctlsOf(port: AttachmentPort): Sysctl[] {
  return hasIp6(port) ? [[['ipv6', 'conf', port.containerIf, 'dad_transmits'], '0']] : [];
}

/** Sets up the container's end; the number is its index there. */
export function containerEnd({ port, netnsFd }: Pick<PortRequest, 'port' | 'netnsFd'>, index: number): Exchange {
  return { requests: containerEndSettings(port, index), inside: { netnsFd, sysctls: sysctlsOf(port) } };
}

/**
 * Addresses before the link is up, routes after (they need it up), in their order: the gateway of one may be reachable by an
 * earlier one only. A container with IPv4 alone has no link-local IPv6 address: detection, listener reports and router
 * solicitations of each would be flooded to all.
 */
function containerEndSettings(port: AttachmentPort, index: number): NetlinkRequest[] {
  const name = port.containerIf;
  return [
    ...(port.addresses.length > 0 && !hasIp6(port) ? [setNoLinkLocal(name)] : []),
    ...port.addresses.map((address) => addAddress(index, address)),
    setLink(name, { isUp: true }),
    ...port.routes.map((settings) => addRoute(index, settings)),
  ];
}
