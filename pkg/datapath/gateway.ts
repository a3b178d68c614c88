/** The tenant's gateway on this node: addresses of an interface of the host that stands in the tenant's network. */
import { addressBits, eui64LinkLocal, formatInterfaceAddress, formatPrefix, prefixOf, type Address, type InterfaceAddress } from '../netaddr/netaddr.ts';
import { addAddress, decodeAddress, delAddress, listAddresses } from '../netlink/address.ts';
import type { Link } from '../netlink/link.ts';
import { requestTolerating } from '../netlink/netlink-socket.ts';
import { gatewayMac } from '../overlay/gateway-mac.ts';
import type { Segment } from '../overlay/model.ts';
import { bridgeName } from '../overlay/names.ts';
import { about, minor, type Fault } from './fault.ts';
import type { Kernel } from './kernel.ts';
import type { Observation } from './observation.ts';

/** What a gateway is made and repaired with. */
export type GatewayHands = Pick<Kernel, 'route' | 'setSysctl'>;
type GatewayFault = Fault<GatewayHands>;

/** RFC 4291 §2.5.6. */
const linkLocalLength = 64;

/**
 * The addresses of the interface: the gateway's, and with one of IPv6 among them a link-local one. From it the host asks for the neighbours to which it
 * forwards; without one the kernel asks for none of them, and says nothing (net/ipv6/ndisc.c, ndisc_send_ns()).
 */
function interfaceAddresses({ vni, gateway }: Segment): readonly InterfaceAddress[] {
  const addresses = gateway?.addresses ?? [];
  return addresses.some(({ address }) => address.family === 6) ? [...addresses, { address: eui64LinkLocal(gatewayMac(vni)), length: linkLocalLength }] : addresses;
}

/** Gives the interface the tenant's gateway addresses, and takes others of earlier settings away. */
export function makeGateway(kernel: GatewayHands, segment: Segment, bridgeIndex: number): void {
  const wanted = interfaceAddresses(segment);
  const present = kernel.route.dump(listAddresses(bridgeIndex)).map(decodeAddress).filter((entry) => entry?.index === bridgeIndex).map((entry) => entry?.address).filter((address) => address !== undefined);
  const texts = new Set(wanted.map(formatInterfaceAddress));
  requestTolerating(kernel.route, wanted.map((address) => addAddress(bridgeIndex, address)), 'EEXIST');
  requestTolerating(kernel.route, present.filter((address) => !texts.has(formatInterfaceAddress(address))).map((address) => delAddress(bridgeIndex, address)), 'EADDRNOTAVAIL');
  for (const parts of gatewaySysctls(segment)) kernel.setSysctl(parts, '1');
}

/** What is wrong with the addresses, and with the routes that come with them. */
export function gatewayFaults(segment: Segment, bridge: Link, seen: Observation): GatewayFault[] {
  const present = new Map(seen.addressesOf(bridge.index).map(({ address }) => [formatInterfaceAddress(address), address]));
  const wanted = new Map(interfaceAddresses(segment).map((address) => [formatInterfaceAddress(address), address]));
  const faults: GatewayFault[] = [];
  for (const [text, address] of present) {
    if (!wanted.has(text)) faults.push(minor({ what: `${bridge.name} has the address ${text}, which is not its gateway's`, remedy: { done: 'removed', apply: ({ route }) => requestTolerating(route, [delAddress(bridge.index, address)], 'EADDRNOTAVAIL') } }));
  }
  for (const [text, address] of wanted) {
    // Each link has a route for link-local addresses: there is nobody else's to compare with.
    const neighbour = isLinkLocal(address) ? undefined : neighbourOf(address);
    if (!present.has(text)) faults.push({ what: `the bridge lacks the gateway address ${text}`, remedy: { done: 'added', apply: ({ route }) => requestTolerating(route, [addAddress(bridge.index, address)], 'EEXIST') } });
    else if (neighbour !== undefined && seen.routeTo(neighbour) !== bridge.index) faults.push(routeFault(bridge, address));
  }
  return [...about('address', faults), ...about('sysctl', gatewaySysctls(segment).filter((parts) => seen.sysctl(parts) === '0').map((parts): GatewayFault => ({
    what: `the sysctl net.${parts.join('.')} is 0`,
    remedy: { done: 'set to 1', apply: (hands) => hands.setSysctl(parts, '1') },
  })))];
}

/** The route that the kernel makes with an address comes back with it. */
function routeFault({ name, index }: Link, address: InterfaceAddress): GatewayFault {
  return {
    aspect: 'route',
    what: `the node does not send to ${formatPrefix(prefixOf(address))} by ${name}`,
    remedy: {
      done: 'gateway address added again',
      apply({ route }) {
        requestTolerating(route, [delAddress(index, address)], 'EADDRNOTAVAIL');
        requestTolerating(route, [addAddress(index, address)], 'EEXIST');
      },
    },
  };
}

function isLinkLocal({ address, length }: InterfaceAddress): boolean {
  return address.family === 6 && length === linkLocalLength && address.value >> 64n === 0xfe80_0000_0000_0000n;
}

/** Another host address of the subnet; undefined where there is none. */
function neighbourOf({ address, length }: InterfaceAddress): Address | undefined {
  const { base, family } = prefixOf({ address, length });
  const hostBits = BigInt(addressBits[family] - length);
  const last = base + (1n << hostBits) - 1n;
  const candidates = [1n, 2n, 3n].map((flip) => address.value ^ flip).filter((value) => value >= base && value <= last);
  const value = candidates.find((candidate) => hostBits === 1n || (candidate !== base && candidate !== last));
  return value === undefined ? undefined : { family, value };
}

/** Sysctls of the host that a tenant's gateway needs to be 1. */
export function gatewaySysctls({ vni, gateway }: Segment): string[][] {
  const addresses = gateway?.addresses ?? [];
  return [
    // Without it the host would answer a tenant's ARP for any address it has (Documentation/networking/ip-sysctl.rst, arp_ignore).
    ...(gateway === undefined ? [] : [['ipv4', 'conf', bridgeName(vni), 'arp_ignore']]),
    ...(addresses.some(({ address }) => address.family === 4) ? [['ipv4', 'ip_forward']] : []),
    ...(addresses.some(({ address }) => address.family === 6) ? [['ipv6', 'conf', 'all', 'forwarding']] : []),
  ];
}
