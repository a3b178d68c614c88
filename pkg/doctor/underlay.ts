/** What carries the tunnels: the VTEP's address, its link, and the ways to the peers. Pure. */
import { overheadBytes, type Encapsulation } from '../mtu/overhead.ts';
import { formatAddress, type Address } from '../netaddr/netaddr.ts';
import { finding, quoted, type Finding } from './finding.ts';

/** A link of the underlay. */
export interface UnderlayLink {
  readonly index: number;
  readonly name: string;
  readonly isUp: boolean;
  /** Whether there is a signal: a cable, or the other end of a veth that is up. */
  readonly hasCarrier: boolean;
  /** Bytes. */
  readonly mtu: number;
  /** net.ipv4.conf.*.rp_filter as it is in force, the larger of the link's and that of all: 1 is strict. */
  readonly reversePath: number;
}

/** Where the kernel sends what is for a peer. */
export interface PeerRoute {
  readonly link: UnderlayLink | undefined;
  /** Bytes, where the route says so; else the link's. */
  readonly mtu?: number;
}

/** Another node's VTEP. */
export interface Peer {
  readonly address: Address;
  /** Undefined: there is no route, or one that refuses. */
  readonly route: PeerRoute | undefined;
}

/** A tenant as far as the underlay carries it. */
export interface CarriedTenant {
  readonly tenant: string;
  readonly encapsulation: Encapsulation;
  /** Bytes, of its containers. */
  readonly overlayMtu: number;
}

/** One end of tunnels on this node. */
export interface Vtep {
  readonly address: Address;
  /** Undefined: no link has the address. */
  readonly link: UnderlayLink | undefined;
  readonly tenants: readonly CarriedTenant[];
  readonly peers: readonly Peer[];
}

/** What is wrong with the ways out of this node. Of what follows from a lower fault nothing is said. */
export function judgeUnderlay(vteps: readonly Vtep[]): Finding[] {
  return vteps.flatMap(judgeVtep);
}

function judgeVtep(vtep: Vtep): Finding[] {
  const { link } = vtep;
  const address = formatAddress(vtep.address);
  if (link === undefined) return [finding('vtep-missing', { subject: address, what: `no link of this node has the VTEP's address ${address}, which ${listed(vtep.tenants)} needs`, show: `ip address show to ${address}` })];
  const show = `ip link show dev ${quoted(link.name)}`;
  if (!link.isUp) return [finding('underlay-down', { subject: link.name, what: `${link.name}, which has the VTEP's address ${address}, is down`, show })];
  if (!link.hasCarrier) return [finding('underlay-down', { subject: link.name, what: `${link.name}, which has the VTEP's address ${address}, has no carrier`, show })];
  return [...judgeRoom(vtep, link), ...vtep.peers.flatMap((peer) => judgePeer(vtep, link, peer))];
}

/** Bytes of an underlay packet that carries the tenant's largest. */
function neededMtu({ encapsulation, overlayMtu }: CarriedTenant, { family }: Address): number {
  return overlayMtu + overheadBytes(encapsulation, family);
}

function judgeRoom({ address, tenants }: Vtep, link: UnderlayLink): Finding[] {
  return tenants.filter((tenant) => neededMtu(tenant, address) > link.mtu).map((tenant) => finding('underlay-mtu', {
    subject: `tenant ${tenant.tenant}`,
    what: `${link.name} has MTU ${link.mtu}, and tenant ${tenant.tenant} with its MTU of ${tenant.overlayMtu} needs ${neededMtu(tenant, address)} there`,
    show: `ip link show dev ${quoted(link.name)}`,
  }));
}

function judgePeer({ address, tenants }: Vtep, link: UnderlayLink, peer: Peer): Finding[] {
  const subject = `peer ${formatAddress(peer.address)}`;
  const show = `ip route get ${formatAddress(peer.address)}`;
  const out = peer.route?.link;
  if (peer.route === undefined || out === undefined) return [finding('peer-unroutable', { subject, what: `this node has no route to the peer ${formatAddress(peer.address)}`, show })];
  const findings: Finding[] = [];
  if (out.index !== link.index) {
    // A node may well send by one of several links: only what a strict filter would drop is wrong.
    const isStrict = address.family === 4 && link.reversePath === 1;
    findings.push(isStrict
      ? finding('reverse-path', { subject, what: `packets to ${formatAddress(peer.address)} leave by ${out.name}, and ${link.name}, where answers come in, filters strictly (rp_filter is 1)`, show: `${show}; sysctl net.ipv4.conf.all.rp_filter net.ipv4.conf.${link.name.replaceAll('.', '/')}.rp_filter` })
      : finding('peer-other-link', { subject, what: `packets to ${formatAddress(peer.address)} leave by ${out.name}, and the VTEP's address is on ${link.name}`, show }));
  }
  const mtu = Math.min(peer.route.mtu ?? out.mtu, out.mtu);
  const large = tenants.filter((tenant) => neededMtu(tenant, address) > mtu && neededMtu(tenant, address) <= link.mtu);
  for (const tenant of large) {
    findings.push(finding('peer-mtu', { subject, what: `the route to ${formatAddress(peer.address)} takes ${mtu} bytes, and tenant ${tenant.tenant} with its MTU of ${tenant.overlayMtu} needs ${neededMtu(tenant, address)}`, show }));
  }
  return findings;
}

function listed(tenants: readonly CarriedTenant[]): string {
  return tenants.map(({ tenant }) => `tenant ${tenant}`).join(', ');
}
