/** What flows are made from, and the matches and actions that several kinds of them share. Pure. */
import { parseMac, type Address, type Mac, type Vni } from '../../../netaddr/netaddr.ts';
import { output, setField, type Action } from '../../../openflow/action.ts';
import type { Instructions } from '../../../openflow/instruction.ts';
import { etherTypes, ipProtocols, type Masked, type Match } from '../../../openflow/match.ts';
import type { AttachmentPort, Segment } from '../../../overlay/model.ts';
import type { tables } from './tables.ts';

/** What a tenant's flows are made from. */
export interface TenantNetwork {
  readonly segment: Pick<Segment, 'vni' | 'vtepAddress' | 'peers' | 'gateway'>;
  /** The port of the tunnel (`remote_ip=flow`, `key=flow`) of the tenant's encapsulation; other tenants may use the same one. */
  readonly tunnel: number;
  /** The port of the host's gateway interface, whose MAC is gatewayMac(); absent: the tenant has no gateway on this node. */
  readonly gateway?: number;
  /** The ports of the way through the limit of what the tenant's containers send (../detour.ts); absent: there is no such limit here. */
  readonly detour?: Detour;
}

/** The numbers of a detour's ports. */
export interface Detour {
  readonly into: number;
  readonly outOf: number;
}

/** What of a tenant receives broadcast beside its containers. */
export interface Receivers {
  readonly segment: Pick<Segment, 'vni'>;
  readonly gateway?: number;
}

/** A container's port on the bridge. */
export interface LocalPort {
  /** From 1 to 0xfeff. */
  readonly ofport: number;
  /** Addresses empty: a layer 2 attachment, any address, but only its own MAC. */
  readonly port: Pick<AttachmentPort, 'vni' | 'mac' | 'addresses' | 'migration'>;
}

/** Multicast and broadcast, by their I/G bit (IEEE 802 §8.2). */
export const groupAddressed: Masked<Mac> = { value: parseMac('01:00:00:00:00:00'), mask: parseMac('01:00:00:00:00:00') };
/** Addresses of single interfaces. */
export const individual: Masked<Mac> = { value: parseMac('00:00:00:00:00:00'), mask: parseMac('01:00:00:00:00:00') };
/** What a field of neighbour discovery is whose option is not there. */
export const noMac: Mac = parseMac('00:00:00:00:00:00');
export const unspecified6: Address = { family: 6, value: 0n };

/** ICMPv6 types: RFC 4861 §4, RFC 2710 §3, RFC 3810 §5.2. */
export const icmp6Types = {
  listenerReports: [131, 132, 143], discovery: [133, 134, 135, 136, 137], neighbourSolicitation: 135, neighbourAdvertisement: 136,
} as const;

/** The match of what belongs to a tenant. */
export function ofTenant(vni: Vni): Match {
  return { metadata: BigInt(vni) };
}

/** The match of ICMPv6 of a type; fields of neighbour discovery need the code too. */
export function icmp6(type: number): Match {
  return { ethType: etherTypes.ipv6, ipProto: ipProtocols.icmpv6, icmpv6Type: type };
}

/** The match of neighbour discovery that can be looked into: of code 0 (RFC 4861 §7.1). */
export function discovery(type: typeof icmp6Types.neighbourSolicitation | typeof icmp6Types.neighbourAdvertisement): Match {
  return { ...icmp6(type), icmpv6Code: 0 };
}

/** From here on the frame is the tenant's. Its VNI is set for the tunnel too, so that nothing behind needs to. */
export function admit(vni: Vni, gotoTable: (typeof tables)[keyof typeof tables]): Instructions {
  return { apply: [setField('tunnelId', BigInt(vni))], writeMetadata: BigInt(vni), gotoTable };
}

/** Sends a copy through the tunnel to a VTEP. */
export function toVtep(tunnel: number, vtep: Address): readonly Action[] {
  return [setField(vtep.family === 4 ? 'tunnelIpv4Dst' : 'tunnelIpv6Dst', vtep), output(tunnel)];
}

/** Sends a copy through the tunnel to each of the tenant's VTEPs. */
export function toPeers({ segment, tunnel }: TenantNetwork): readonly Action[] {
  return segment.peers.flatMap((peer) => toVtep(tunnel, peer));
}
