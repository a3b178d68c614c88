/** Where the tunnel ends on this node: the VTEP's address, and the MTU of the link that carries it. */
import { WeftError } from '../errors/weft-error.ts';
import { addressesEqual, formatAddress, type Address } from '../netaddr/netaddr.ts';
import { decodeAddress, listAddresses, type LinkAddress } from '../netlink/address.ts';
import { decodeLink, getLink, getLinkByIndex, type Link } from '../netlink/link.ts';
import { isRefusal } from '../netlink/netlink-error.ts';
import type { Netlink } from '../netlink/netlink-socket.ts';
import { decodeRoute, listRoutes } from '../netlink/route.ts';

/** What the configuration says of the VTEP: either, both or nothing. */
export interface VtepSettings {
  readonly interface?: string;
  readonly address?: Address;
}

/** What the tunnel runs over. */
export interface Underlay {
  readonly vtepAddress: Address;
  /** Bytes. */
  readonly mtu: number;
  /** Of the link that carries it. */
  readonly linkIndex: number;
}

/** Finds the underlay as findUnderlay() does, or remembers it. */
export type UnderlayFinder = (settings: VtepSettings, family?: Address['family']) => Underlay;

/**
 * Finds the VTEP: the address as configured, else the interface's first global one, else that of the default route's interface.
 * `family`, where given, is the peers' and decides between an interface's IPv4 and IPv6 addresses.
 * @throws WeftError invalidConfiguration when there is no such interface, address or default route
 */
export function findUnderlay(route: Netlink, settings: VtepSettings, family?: Address['family']): Underlay {
  if (settings.address !== undefined) return underlayOfAddress(route, settings.address, settings.interface);
  const link = settings.interface === undefined ? defaultRouteLink(route, family) : requireLink(route, settings.interface);
  return { vtepAddress: firstAddress(route, link, family), mtu: link.mtu, linkIndex: link.index };
}

function underlayOfAddress(route: Netlink, address: Address, name: string | undefined): Underlay {
  const holder = globalAddresses(route, 0).find((entry) => addressesEqual(entry.address.address, address));
  if (holder === undefined) {
    throw new WeftError('invalidConfiguration', `vtep.address must be an address of this node: no interface has ${formatAddress(address)}`);
  }
  const link = readLink(route, holder.index);
  if (name !== undefined && link.name !== name) {
    throw new WeftError('invalidConfiguration', `vtep.address must be on vtep.interface: ${formatAddress(address)} is on ${link.name}, not on ${name}`);
  }
  return { vtepAddress: address, mtu: link.mtu, linkIndex: link.index };
}

function globalAddresses(route: Netlink, index: number): LinkAddress[] {
  const entries = route.dump(listAddresses(index)).map(decodeAddress);
  return entries.filter((entry) => entry !== undefined && entry.scope === 'global' && (index === 0 || entry.index === index)) as LinkAddress[];
}

function firstAddress(route: Netlink, link: Link, family: Address['family'] | undefined): Address {
  const addresses = globalAddresses(route, link.index).map((entry) => entry.address.address);
  const found = family === undefined ? (addresses.find((address) => address.family === 4) ?? addresses[0]) : addresses.find((address) => address.family === family);
  if (found !== undefined) return found;
  const kind = family === undefined ? '' : `IPv${family} `;
  throw new WeftError('invalidConfiguration', `vtep.interface must have a global ${kind}address: ${link.name} has none`, {
    details: 'give the interface an address, or name another one in vtep.interface or vtep.address',
  });
}

function requireLink(route: Netlink, name: string): Link {
  try {
    const message = route.request([getLink(name)])[0]?.[0];
    if (message !== undefined) return decodeLink(message);
  } catch (error) {
    if (!isRefusal(error, 'ENODEV')) throw error;
  }
  throw new WeftError('invalidConfiguration', `vtep.interface must be an interface of this node: there is no ${name}`);
}

function readLink(route: Netlink, index: number): Link {
  const message = route.request([getLinkByIndex(index)])[0]?.[0];
  if (message === undefined) throw new WeftError('internal', `The kernel did not describe link number ${index}`);
  return decodeLink(message);
}

function defaultRouteLink(route: Netlink, family: Address['family'] | undefined): Link {
  for (const candidate of family === undefined ? ([4, 6] as const) : [family]) {
    const routes = route.dump(listRoutes(candidate)).map(decodeRoute).filter((entry) => entry?.dst.length === 0 && entry.isUnicast && entry.index !== undefined);
    const best = routes.sort((a, b) => (a?.priority ?? 0) - (b?.priority ?? 0))[0];
    if (best?.index !== undefined) return readLink(route, best.index);
  }
  throw new WeftError('invalidConfiguration', 'The VTEP is not known: set vtep.interface or vtep.address, since this node has no default route');
}
