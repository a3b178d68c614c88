/** What a trace asks the node, and how it is answered: by the kernel in earnest, by a table in tests. Nothing of it changes anything. */
import type { GuardElement } from '../datapath/guard/guard-elements.ts';
import type { AttachmentRecord } from '../ledger/records.ts';
import type { Address, Mac } from '../netaddr/netaddr.ts';
import type { LinkAddress } from '../netlink/address.ts';
import type { NeighbourState } from '../netlink/ip-neighbour.ts';
import type { Link } from '../netlink/link.ts';
import type { FdbEntry } from '../netlink/neighbour.ts';
import type { FilterPoint } from '../netlink/qdisc.ts';
import type { RouteLookup } from '../netlink/route.ts';
import type { Flow } from '../openflow/flow.ts';
import type { Segment } from '../overlay/model.ts';
import type { PathStatus } from '../report/paths.ts';

/** A link, and whether anything can leave by it. */
export interface SeenLink extends Link {
  readonly hasCarrier: boolean;
}

/** What is known of a neighbour. */
export interface SeenNeighbour {
  readonly state: NeighbourState;
  /** Absent while nobody has answered. */
  readonly mac?: Mac;
}

/** The answer to a look-up; or why there is none, as the kernel calls it: `ENETUNREACH`. */
export type SeenRoute = RouteLookup | { readonly refusal: string };

/** A network namespace, the node's own or a container's. */
export interface NamespaceSight {
  findLink(name: string): SeenLink | undefined;
  findLinkByIndex(index: number): SeenLink | undefined;
  addressesOf(index: number): readonly LinkAddress[];
  /** What a packet to the address would get; with `input`, one that came in by that link with that source. */
  routeTo(address: Address, input?: { readonly source: Address; readonly index: number }): SeenRoute;
  /** Undefined: it was never asked for. */
  neighbour(index: number, address: Address): SeenNeighbour | undefined;
}

/** A port of the switch by the name of its interface. */
export interface SeenSwitchPort {
  readonly name: string;
  /** Undefined where ovs-vswitchd cannot open it. */
  readonly ofport?: number;
  /** Why not, in its words. */
  readonly error?: string;
  readonly isTunnel: boolean;
}

/** The node's Open vSwitch. */
export interface SwitchSight {
  /** Name of the bridge. */
  readonly bridge: string;
  /** Name of the tunnel that the tenant's frames travel through. */
  readonly tunnel: string;
  /** Whether ovs-vswitchd itself makes the outer packets, and knows neighbours of its own. */
  readonly isUserspace: boolean;
  /** Why it could not be read, in words; then there is nothing of the rest. */
  readonly obstacle?: string;
  readonly ports: readonly SeenSwitchPort[];
  readonly flows: readonly Flow[];
  /** What a table is for: `source`. */
  tableName(table: number): string;
}

/** The node. */
export interface NodeSight extends NamespaceSight {
  /** Runs with the container's namespace; undefined where that is gone. */
  inContainer<T>(record: AttachmentRecord, fn: (container: NamespaceSight) => T): T | undefined;
  /** Where a bridge has a MAC. */
  bridgeEntry(bridge: number, mac: Mac): FdbEntry | undefined;
  /** The ports of a bridge. */
  portsOf(bridge: number): readonly SeenLink[];
  /** A VXLAN device's own entries that name a VTEP. */
  tunnelEntries(index: number): readonly FdbEntry[];
  /** Indexes of the links that what a link receives is redirected to; or, at egress, what it is about to send. */
  redirectsOf(index: number, point?: FilterPoint): readonly number[];
  /** Bytes per second of the token buckets at the link's root. */
  ratesOf(index: number): readonly bigint[];
  /** A sysctl below /proc/sys/net. */
  sysctl(parts: readonly string[]): string | undefined;
  /** Whether a set has the element; false too where the set is gone. */
  hasElement(element: GuardElement): boolean;
  /** How tables and rules of the guard are otherwise than weft made them, in words: then its sets say nothing. */
  readonly guardFaults: readonly string[];
  /** Chains at the hook `forward` that drop what no rule of theirs takes, by name. */
  readonly forwardDrops: readonly string[];
  /** What is known of the ways to other nodes, by probes; undefined: nothing is. */
  readonly paths: readonly PathStatus[] | undefined;
  /** Undefined: the tenant is not of Open vSwitch. */
  readonly switch: SwitchSight | undefined;
}

/** What the ledger says of a tenant on this node. */
export interface TenantSight {
  readonly segment: Segment;
  /** Its attachments, those that are attached. */
  readonly records: readonly AttachmentRecord[];
}
