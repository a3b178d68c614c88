/** What every part of the way has with it, and words that they share. Pure. */
import type { AttachmentRecord } from '../ledger/records.ts';
import { addressesEqual, formatAddress, type Address, type Mac } from '../netaddr/netaddr.ts';
import type { SeenLink, NamespaceSight, NodeSight, SeenNeighbour, TenantSight } from './sight.ts';
import type { Packet } from './packet.ts';
import { quoted, shortContainerId } from '../report/text.ts';
import { bridgeName } from '../overlay/names.ts';
import type { Walk } from './step.ts';

/** A packet on its way over a node. */
export interface Way {
  readonly walk: Walk;
  readonly node: NodeSight;
  readonly tenant: TenantSight;
  readonly packet: Packet;
}

/** Where a packet is when the container has let it go. */
export interface Sent {
  readonly record: AttachmentRecord;
  readonly source: Address;
  /** The address whose MAC it is sent to. */
  readonly nextHop: Address;
  /** The container's own. */
  readonly mac: Mac;
  /** Undefined: it is to be asked for. */
  readonly to: Mac | undefined;
  readonly neighbour: SeenNeighbour | undefined;
}

/** How an endpoint is called: by its name, its pod, or its container. */
export function nameOf({ endpoint, pod, key }: Pick<AttachmentRecord, 'endpoint' | 'pod' | 'key'>): string {
  return endpoint ?? pod ?? shortContainerId(key.containerId);
}

/** A command that is run inside the container. */
export function inside({ netns }: Pick<AttachmentRecord, 'netns'>, command: string): string {
  return `nsenter --net=${quoted(netns)} ${command}`;
}

/** The endpoint of this node that has the address. */
export function ownerOf({ records }: TenantSight, address: Address): AttachmentRecord | undefined {
  return records.find(({ port }) => port.addresses.some((own) => addressesEqual(own.address, address)));
}

/** The endpoint of this node behind a host interface. */
export function recordAt({ records }: TenantSight, hostIf: string): AttachmentRecord | undefined {
  return records.find((record) => record.hostIf === hostIf);
}

/** The tenant's bridge; or, on Open vSwitch, the gateway's interface, which has the same name. */
export function bridgeOf({ node, tenant }: Pick<Way, 'node' | 'tenant'>): SeenLink | undefined {
  return node.findLink(bridgeName(tenant.segment.vni));
}

/** Whether a link has the address. */
export function hasAddress(namespace: NamespaceSight, index: number, address: Address): boolean {
  return namespace.addressesOf(index).some((entry) => addressesEqual(entry.address.address, address));
}

/** `-4` or `-6`, for ip(8). */
export function familyFlag({ family }: Address): string {
  return `-${family}`;
}

/** An address for people. */
export const say: (address: Address) => string = formatAddress;
