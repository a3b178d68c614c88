/** Endpoints that move between nodes, as the verbs see it: an ADD finds that its endpoint is on another node, and prepares for its arrival. */
import type { NetConf } from '../config/net-conf.ts';
import { WeftError } from '../errors/weft-error.ts';
import type { AttachmentRecord, LedgerReader } from '../ledger/ledger.ts';
import { addressesEqual, formatAddress, formatInterfaceAddress, formatPrefix, prefixContains, type Address, type InterfaceAddress, type Mac, type Vni } from '../netaddr/netaddr.ts';
import type { Segment } from '../overlay/model.ts';
import { describeHolder } from './addressing.ts';
import { assignedFrom, type AssignedAddress, type Assignment } from './ipam.ts';

/** What another node has of an endpoint. */
export interface FoundEndpoint {
  readonly mac: Mac;
  readonly addresses: readonly InterfaceAddress[];
  /** Where it is attached, and how the migration to this node is called; absent: it is attached nowhere, and a node keeps this for it. */
  readonly migration?: { readonly id: string; readonly other: Address };
}

/** Which endpoint. */
export interface EndpointQuestion {
  readonly segment: Segment;
  readonly endpoint: string;
}

/** A node's part in moves, for the verbs. Absent in a process that answers one call: nobody could follow the move. */
export interface EndpointMoves {
  /** What other nodes have of the endpoint; undefined where none has anything. @throws WeftError tryAgainLater while it is on its way to a third node */
  find(question: EndpointQuestion): Promise<FoundEndpoint | undefined>;
  /** The attachment waits for its endpoint: has the source relay. @throws WeftError where the source does not */
  begin(record: AttachmentRecord): Promise<void>;
  /** The attachment, which takes part in a migration, is about to be removed. Waits for what others still send here, but not long. Never throws */
  remove(record: AttachmentRecord): Promise<void>;
}

/**
 * The addresses of an endpoint that comes from elsewhere, as this node's configuration places them: in one of the tenant's subnets, but not
 * necessarily in the range that this node gives addresses from.
 * @throws WeftError invalidConfiguration, addressTaken
 */
export function assignFound(tx: LedgerReader, conf: NetConf, { mac, addresses }: FoundEndpoint): Assignment {
  requireSameRequest(conf, { mac, addresses });
  if (conf.ipam.type !== 'weft') return { addresses: [], routes: [], dns: {} };
  const { pool } = conf.ipam;
  const assigned = addresses.map((address): AssignedAddress => {
    const rangeSet = pool.sets.findIndex((set) => set.some(({ subnet }) => subnet.length === address.length && prefixContains(subnet, address.address)));
    const range = pool.sets[rangeSet]?.find(({ subnet }) => prefixContains(subnet, address.address));
    if (range === undefined) throw notPlaced(conf, address);
    const holder = describeHolder(tx, { vni: conf.vni, ...(conf.endpoint === undefined ? {} : { endpoint: conf.endpoint }) }, address.address);
    if (holder !== undefined) throw new WeftError('addressTaken', `The address ${formatAddress(address.address)} of the endpoint ${conf.endpoint} belongs on this node to ${holder}: the nodes' ranges of tenant ${conf.tenant} must not overlap`);
    return { address, rangeSet, ...(range.gateway === undefined ? {} : { gateway: range.gateway }) };
  });
  return assignedFrom(pool.routes, assigned, conf);
}

function notPlaced({ endpoint, tenant, ipam }: NetConf, address: InterfaceAddress): WeftError {
  const subnets = ipam.type === 'weft' ? ipam.pool.sets.flat().map(({ subnet }) => formatPrefix(subnet)).join(', ') : '';
  return new WeftError('invalidConfiguration', `ipam.ranges must have the subnet of ${formatInterfaceAddress(address)}, which the endpoint ${endpoint} of tenant ${tenant} has on another node: current value has ${subnets}`, {
    details: 'give the tenant the same subnets on all nodes; only the ranges in them differ',
  });
}

/** Whoever asks for an address or a MAC asks for the endpoint's. */
function requireSameRequest({ requestedAddresses, requestedMac, endpoint }: NetConf, { mac, addresses }: FoundEndpoint): void {
  const other = requestedAddresses.find((wanted) => !addresses.some(({ address }) => addressesEqual(address, wanted)));
  if (other !== undefined) {
    throw new WeftError('addressTaken', `The endpoint ${endpoint} has ${addresses.map(({ address }) => formatAddress(address)).join(', ')} on another node, and cannot have ${formatAddress(other)}: leave the address out, or use another WEFT_ENDPOINT`);
  }
  if (requestedMac !== undefined && requestedMac !== mac) {
    throw new WeftError('addressTaken', `The endpoint ${endpoint} has the MAC ${mac} on another node, and cannot have ${requestedMac}: leave the MAC out, or use another WEFT_ENDPOINT`);
  }
}

/** The attachment of an endpoint that is whole; undefined where there is none. */
export function findEndpoint(tx: LedgerReader, vni: Vni, endpoint: string): AttachmentRecord | undefined {
  return tx.listAttachments({ vni, endpoint, state: 'attached' })[0];
}
