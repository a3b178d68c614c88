/** From the MTUs that a tenant has to those that it should have: in which steps, and what each attachment gets. Pure. */
import { ipv6MinimumMtuBytes } from '../mtu/overhead.ts';
import type { AttachmentPort, Segment } from '../overlay/model.ts';

/** Bytes. */
export type SegmentMtus = Pick<Segment, 'underlayMtu' | 'overlayMtu'>;

/** Between the two: tunnel devices take what anybody sends, the gateway sends what everybody takes. Attachments follow one by one then, and last of all the segment. */
export function betweenMtus(present: SegmentMtus, wanted: SegmentMtus): SegmentMtus {
  return { underlayMtu: Math.max(present.underlayMtu, wanted.underlayMtu), overlayMtu: Math.min(present.overlayMtu, wanted.overlayMtu) };
}

/** Whether both are of the same sizes. */
export function haveSameMtus(a: SegmentMtus, b: SegmentMtus): boolean {
  return a.underlayMtu === b.underlayMtu && a.overlayMtu === b.overlayMtu;
}

/** What an attachment gets of a tenant's MTU. Below IPv6's least the kernel takes IPv6 off the interface, addresses and all (net/ipv6/addrconf.c, NETDEV_CHANGEMTU). */
export function portMtu({ addresses }: Pick<AttachmentPort, 'addresses'>, overlayMtu: number): number {
  return addresses.some(({ address }) => address.family === 6) ? Math.max(ipv6MinimumMtuBytes, overlayMtu) : overlayMtu;
}

/** What the segment gets, whose tunnel devices take what every attachment may send, and whose gateway may have IPv6 too. */
export function segmentMtus({ gateway, ...fitting }: SegmentMtus & Pick<Segment, 'gateway'>, ports: readonly Pick<AttachmentPort, 'addresses'>[]): SegmentMtus {
  const { underlayMtu, overlayMtu: fit } = fitting;
  const overlayMtu = Math.max(fit, ...(gateway === undefined ? [] : [portMtu(gateway, fit)]), ...ports.map((port) => portMtu(port, fit)));
  return { underlayMtu: Math.max(underlayMtu, overlayMtu), overlayMtu };
}

/** Why a tenant's containers with IPv6 keep more than there is room for, in words; undefined where there is room. */
export function describeShortage(tenant: string, { overlayMtu }: SegmentMtus, ports: readonly Pick<AttachmentPort, 'addresses'>[]): string | undefined {
  const short = ports.filter((port) => portMtu(port, overlayMtu) > overlayMtu).length;
  if (short === 0) return undefined;
  const whose = short === 1 ? 'a container' : `${short} containers`;
  return `tenant ${tenant} has ${whose} with IPv6, which needs an MTU of ${ipv6MinimumMtuBytes}, and there is room for ${overlayMtu}: they keep ${ipv6MinimumMtuBytes}, and what is larger than ${overlayMtu} may not arrive`;
}
