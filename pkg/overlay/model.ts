/**
 * The model: what a node should have for its tenants. Plain values without behaviour; no I/O, no policy.
 *
 * A tenant has one segment (VNI). On a node the segment is a bridge and a VXLAN device, or flows of the one bridge of
 * Open vSwitch, made with the tenant's first attachment and removed with its last. An attachment is one network configuration applied to one container.
 */
import type { Address, InterfaceAddress, Mac, Prefix, Vni } from '../netaddr/netaddr.ts';

/** Names one attachment; the CNI specification's key. */
export interface AttachmentKey {
  /** The network's name, `name` of the network configuration. */
  readonly network: string;
  readonly containerId: string;
  readonly ifName: string;
}

/** A route inside the container. */
export interface Route {
  readonly dst: Prefix;
  /** The next hop; absent: the route is on-link. */
  readonly gateway?: Address;
  /** Bytes; absent: the interface's. */
  readonly mtu?: number;
  /** Bytes of the advertised TCP MSS; absent: derived by the kernel. */
  readonly advmss?: number;
  readonly priority?: number;
  /** Routing table number; absent: main. */
  readonly table?: number;
  /** rtnetlink scope number (rtm_scope); absent: global, or link for an on-link route. */
  readonly scope?: number;
}

/** The tenant's gateway on this node: addresses of the bridge itself. */
export interface Gateway {
  /** One for each of the tenant's subnets that has a gateway; never empty. */
  readonly addresses: readonly InterfaceAddress[];
  /** Whether traffic that leaves the tenant is masqueraded behind the node's address. */
  readonly masquerade: boolean;
}

/** A tenant's segment on this node. */
export interface Segment {
  readonly tenant: string;
  readonly vni: Vni;
  /** What wires the tenant here; absent: Linux bridges, as in all that earlier versions wrote. */
  readonly datapath?: 'ovs';
  /** How its frames travel between nodes; absent: VXLAN, as in all that earlier versions wrote. */
  readonly encapsulation?: 'geneve';
  /** Who says where remote endpoints are; absent: the static list of peers and what frames teach, as in all that earlier versions wrote. */
  readonly controlPlane?: 'evpn';
  /** This node's tunnel end point. */
  readonly vtepAddress: Address;
  /** UDP port, the same on every VTEP of the tenant. */
  readonly vtepPort: number;
  /** Bytes; of the link by which the other VTEPs are reached, and what tunnel devices have. */
  readonly underlayMtu: number;
  /** Bytes; what endpoints see, and the bridge or gateway has. At most underlayMtu minus the encapsulation's overhead, but for IPv6's least. */
  readonly overlayMtu: number;
  /** The other VTEPs, of the same family as vtepAddress, without this node's own; the flood list. With a control plane: those known so far. */
  readonly peers: readonly Address[];
  readonly gateway?: Gateway;
  /** Of all its containers on this node together; absent: none. */
  readonly bandwidth?: Bandwidth;
}

/** A limit in one direction. */
export interface RateLimit {
  /** Bits per second; at least 1. */
  readonly rateBits: number;
  /** Bits that may pass at once; absent: the datapath chooses. */
  readonly burstBits?: number;
}

/** Limits in one direction at least, as containers see them (CNI CONVENTIONS.md, "bandwidth"): ingress is what it receives. */
export interface Bandwidth {
  readonly ingress?: RateLimit;
  readonly egress?: RateLimit;
}

/**
 * How far an attachment is while its endpoint moves between two nodes, with its MAC and its addresses:
 * ```
 *   at the source   (none) ──▶ relaying ──▶ departed ──▶ left ──DEL──▶
 *                      ▲           └───────────┴─ it does not move after all ─▶ (none)
 *   at the target   ──ADD──▶ waiting ──▶ arrived ──▶ (none)
 * ```
 * - `relaying`: as ever, and a copy of each frame for it goes to the target, where nobody gets it yet.
 * - `departed`: the port is closed; whoever on this node sends to it sends to the target, and so does what still comes from others.
 * - `left`: the port is closed, and the others send to the target by themselves.
 * - `waiting`: closed both ways, until the machine behind it says where it is (RARP, gratuitous ARP, unsolicited neighbour advertisement).
 * - `arrived`: as ever, and what the source relays is let in.
 */
export type MigrationPhase = 'relaying' | 'departed' | 'left' | 'waiting' | 'arrived';

/** An attachment's part in a migration. */
export interface PortMigration {
  /** Names the migration; the same on both nodes. */
  readonly id: string;
  readonly phase: MigrationPhase;
  /** The other node's VTEP, of the family of the tenant's own. */
  readonly other: Address;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

/** An attached interface as the datapath makes it. */
export interface AttachmentPort {
  readonly vni: Vni;
  /** The segment's; here too, so that a port can be removed when the segment is not known any more. Absent: Linux bridges. */
  readonly datapath?: 'ovs';
  /** Name of the host interface: `weft-p` and a digest of the attachment (see names.ts). */
  readonly hostIf: string;
  /** Name of the interface inside the container, CNI_IFNAME. */
  readonly containerIf: string;
  readonly mac: Mac;
  /** The container's addresses; empty: a layer 2 attachment, whose addresses are not guarded. */
  readonly addresses: readonly InterfaceAddress[];
  readonly routes: readonly Route[];
  /** Bytes; what weft has given both ends. */
  readonly mtu: number;
  /** Bytes; the smaller MTU that the container had chosen itself when it had to be lowered below that. Absent: it had chosen none. */
  readonly ownMtu?: number;
  /** What a person reads in `ip link`. At most 255 bytes (IFALIASZ, include/uapi/linux/if.h). */
  readonly alias: string;
  readonly bandwidth?: Bandwidth;
  /** Absent: the endpoint is not on its way. */
  readonly migration?: PortMigration;
}

/** An endpoint on another node, known from a control plane. */
export interface RemoteEndpoint {
  readonly mac: Mac;
  /** What is known of them; asked for others, the whole tenant is asked. */
  readonly addresses: readonly Address[];
  /** Of the family of the tenant's own VTEP. */
  readonly vtep: Address;
}
