/**
 * Questions for addresses whose owner is known: they never go to the whole tenant. ARP is answered by the switch itself. An answer to a
 * neighbour solicitation cannot be composed by all datapaths, so the question goes to the owner alone. Pure.
 */
import { eui64LinkLocal, type Address, type Mac, type Vni } from '../../../netaddr/netaddr.ts';
import { move, output, ports, setField, type Action } from '../../../openflow/action.ts';
import type { Flow } from '../../../openflow/flow.ts';
import { etherTypes, type Match } from '../../../openflow/match.ts';
import type { RemoteEndpoint } from '../../../overlay/model.ts';
import { discovery, groupAddressed, icmp6Types, ofTenant, type TenantNetwork, toVtep } from './network.ts';
import { priorities, tables } from './tables.ts';

/** An owner of addresses on this node: a container, or the tenant's gateway. */
export interface LocalOwner {
  readonly vni: Vni;
  readonly ofport: number;
  readonly mac: Mac;
  readonly addresses: readonly Address[];
  /** Of its flows. */
  readonly cookie: bigint;
  /** What is done with a question beside giving it to the owner. */
  readonly also?: Relays;
}

/** Sends a copy to an endpoint's next node: of what this node sends, and of what came through the tunnel. */
export interface Relays {
  readonly fromHere: readonly Action[];
  readonly fromTunnel: readonly Action[];
}

/** Operations of ARP (RFC 826). */
export const arpOperations = { request: 1, reply: 2 } as const;

/**
 * Questions for an owner on this node. From the tunnel they are the owner's own to answer: peers without weft's flows ask everybody, and
 * are told where the answer came from. What the owner itself says of its addresses (probe, announcement, duplicate address detection) is
 * for the whole tenant.
 */
export function localNeighbourFlows(owner: LocalOwner): Flow[] {
  const { vni, ofport, mac, cookie, also = { fromHere: [], fromTunnel: [] } } = owner;
  const toOwner = [output(ofport)];
  return askedAddresses(owner).flatMap((address) => {
    const question = questionFor(vni, address);
    return [
      { table: tables.neighbours, priority: priorities.neighbours.owner, match: { ...question, inPort: ofport }, instructions: { gotoTable: tables.local }, cookie },
      { table: tables.neighbours, priority: priorities.neighbours.local, match: question, instructions: { apply: address.family === 4 ? arpAnswer(mac, address) : [...toOwner, ...also.fromHere] }, cookie },
      { table: tables.arrivals, priority: priorities.arrivals.local, match: question, instructions: { apply: [...toOwner, ...also.fromTunnel] }, cookie },
    ];
  });
}

/**
 * Questions for an endpoint elsewhere. From the tunnel there is none for it: who asks has asked its own node. A solicitation is addressed to
 * the owner's MAC (RFC 6085), so that it goes to the owner alone on its node as well; and so the flow says whose address it is.
 */
export function remoteNeighbourFlows({ segment, tunnel }: TenantNetwork, endpoint: RemoteEndpoint, cookie: bigint): Flow[] {
  const toOwner = [setField('ethDst', endpoint.mac), ...toVtep(tunnel, endpoint.vtep)];
  return askedAddresses(endpoint).map((address) => ({
    table: tables.neighbours,
    priority: priorities.neighbours.remote,
    match: questionFor(segment.vni, address),
    instructions: { apply: address.family === 4 ? arpAnswer(endpoint.mac, address) : toOwner },
    cookie,
  }));
}

/** Questions from the tunnel for an endpoint that has just gone elsewhere, and is asked there. */
export function departedNeighbourFlows({ vni, cookie, ...endpoint }: Pick<LocalOwner, 'vni' | 'mac' | 'addresses' | 'cookie'>, fromTunnel: readonly Action[]): Flow[] {
  return askedAddresses(endpoint).map((address) => ({ table: tables.arrivals, priority: priorities.arrivals.local, match: questionFor(vni, address), instructions: { apply: fromTunnel }, cookie }));
}

/** Whoever has addresses has the link-local one made from its MAC too. */
function askedAddresses({ mac, addresses }: Pick<LocalOwner, 'mac' | 'addresses'>): readonly Address[] {
  return addresses.length === 0 ? [] : [...addresses, eui64LinkLocal(mac)];
}

/** An ARP request, to whomever it is addressed; a solicitation only to the group, since one to a MAC finds its way like all else. */
function questionFor(vni: Vni, address: Address): Match {
  if (address.family === 4) return { ...ofTenant(vni), ethType: etherTypes.arp, arpOp: arpOperations.request, arpTpa: address };
  return { ...ofTenant(vni), ethDst: groupAddressed, ...discovery(icmp6Types.neighbourSolicitation), ndTarget: address };
}

/** Turns the request into the reply that the owner would give, and sends it back to where it came from. */
function arpAnswer(mac: Mac, address: Address): readonly Action[] {
  return [
    move('ethSrc', 'ethDst'),
    setField('ethSrc', mac),
    setField('arpOp', arpOperations.reply),
    move('arpSha', 'arpTha'),
    move('arpSpa', 'arpTpa'),
    setField('arpSha', mac),
    setField('arpSpa', address),
    output(ports.inPort),
  ];
}
