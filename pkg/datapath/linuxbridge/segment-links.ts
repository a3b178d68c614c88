/** The links of a tenant's segment by their names and kinds. */
import type { Link } from '../../netlink/link.ts';
import type { Segment } from '../../overlay/model.ts';
import { bridgeName, relayName, spareName, sparePortName, vxlanName } from '../../overlay/names.ts';
import { hasSpare } from '../../overlay/spare.ts';

/** The links of a segment that is in place. */
export interface SegmentLinks {
  readonly bridge: Link;
  readonly vxlan: Link;
  /** Of a segment with a spare tunnel. */
  readonly spare?: SpareLinks;
}

/** A spare tunnel and the bridge's port in front of it: an `ifb` device whose filter sends what it gets to the tunnel. */
export interface SpareLinks {
  readonly tunnel: Link;
  readonly port: Link;
}

/** A link that a segment has. */
interface NamedLink {
  readonly name: string;
  readonly kind: string;
}

/** Links of a segment with this control plane, bridge and VXLAN device first. */
export function linksOf(segment: Pick<Segment, 'vni' | 'controlPlane' | 'datapath'>): NamedLink[] {
  const { vni } = segment;
  const links = [{ name: bridgeName(vni), kind: 'bridge' }, { name: vxlanName(vni), kind: 'vxlan' }];
  return hasSpare(segment) ? [...links, { name: spareName(vni), kind: 'vxlan' }, { name: sparePortName(vni), kind: 'ifb' }] : links;
}

/** The links as they were read in the order of linksOf(); undefined where one is missing. */
export function asSegmentLinks(segment: Segment, [bridge, vxlan, tunnel, port]: readonly (Link | undefined)[]): SegmentLinks | undefined {
  if (bridge === undefined || vxlan === undefined) return undefined;
  if (!hasSpare(segment)) return { bridge, vxlan };
  return tunnel === undefined || port === undefined ? undefined : { bridge, vxlan, spare: { tunnel, port } };
}

/** The MTU of each link that the segment has or may have. The bridge comes last: until it was given one it takes its ports' (br_if.c, br_mtu_auto_adjust). */
export function sizesOf(segment: Segment): (readonly [name: string, mtu: number])[] {
  const tunnels = [...linksOf(segment).map(({ name }) => name), relayName(segment.vni)].filter((name) => name !== bridgeName(segment.vni));
  return [...tunnels.map((name) => [name, segment.underlayMtu] as const), [bridgeName(segment.vni), segment.overlayMtu]];
}
