/**
 * The gate of a port that waits, in front of what the switch gives it: an nft table of family netdev at its host interface. The switch forgets what it has
 * cached of dropped frames only 10 to 40 ms after its flows have changed; so it gives the port what the source relays all the time, and the kernel
 * drops it there until the machine says where it is, or the source says that it has stopped (openingFrame()).
 *
 *     switch ──▶ egress of the host interface: dropped, unless opened ──▶ the machine
 *     the machine ──▶ ingress of the host interface: its announcement opens ──▶ switch, whose flows look at it by themselves
 */
import { WeftError } from '../../errors/weft-error.ts';
import { addressBytes, macBytes, parseAddress } from '../../netaddr/netaddr.ts';
import { isRefusal, NetlinkError } from '../../netlink/netlink-error.ts';
import type { Netlink } from '../../netlink/netlink-socket.ts';
import type { NetlinkRequest } from '../../netlink/codec.ts';
import { addToSet, compare, counter, loadPayload, lookup, swallow, verdict, type Expression, type PayloadField } from '../../nftables/expression.ts';
import { addChain, addElement, addRule, addSet, commitBatch, createTable, deleteTable, describedTable, getChain, getElement, getTable, listTables, type SetElement, type TableName } from '../../nftables/nftables.ts';
import { etherTypes } from '../../openflow/match.ts';
import type { AttachmentPort } from '../../overlay/model.ts';
import { isPortName } from '../../overlay/names.ts';
import type { PortFault } from '../host-end-faults.ts';
import { bigEndian16 } from '../guard/guard-rules.ts';
import { isRelayedTo, isWaiting } from '../phases.ts';
import { addresses4, addresses6 } from './flows/flows.ts';

const suffix = '-gate';
/** The set of the gate's table with the MAC, where it is open. */
export const openedSet = 'opened';
const advertisedChain = 'advertised';
const chains = ['sent', 'received'] as const;

// Offsets in bytes: IEEE 802.3; RFC 826; RFC 8200 §3; RFC 4861 §4.4, behind an IPv6 header without extensions.
const etherDestination: PayloadField = { base: 'link', offset: 0, length: 6 };
const etherSource: PayloadField = { base: 'link', offset: 6, length: 6 };
const etherType: PayloadField = { base: 'link', offset: 12, length: 2 };
const arpSenderMac: PayloadField = { base: 'network', offset: 8, length: 6 };
const arpSenderAddress: PayloadField = { base: 'network', offset: 14, length: 4 };
const arpTargetAddress: PayloadField = { base: 'network', offset: 24, length: 4 };
const ip6NextHeader: PayloadField = { base: 'network', offset: 6, length: 1 };
const ip6Length: PayloadField = { base: 'network', offset: 4, length: 2 };
const ip6Source: PayloadField = { base: 'network', offset: 8, length: 16 };
const ip6Destination: PayloadField = { base: 'network', offset: 24, length: 16 };
const icmp6Type: PayloadField = { base: 'network', offset: 40, length: 1 };
const ndTarget: PayloadField = { base: 'network', offset: 48, length: 16 };
const ndOption: PayloadField = { base: 'network', offset: 64, length: 8 };
const targetLinkLayerAddress = 2;
/** Without options. */
const advertisementBytes = 24;
const icmp6 = 58;
const neighbourAdvertisement = 136;
/** Whom an advertisement is sent to that nobody has asked for (RFC 4861 §7.2.6). */
const allNodes = addressBytes(parseAddress('ff02::1'));

type Gated = Pick<AttachmentPort, 'hostIf' | 'mac' | 'addresses'>;

/** The gate's table. */
export function gateTable({ hostIf }: Pick<Gated, 'hostIf'>): TableName {
  return { family: 'netdev', table: `${hostIf}${suffix}` };
}

function openedElement({ mac }: Pick<Gated, 'mac'>): SetElement {
  return { set: openedSet, key: [macBytes(mac)] };
}

function isField(field: PayloadField, bytes: Uint8Array): Expression[] {
  return [loadPayload(field), compare('equal', bytes)];
}

const open = (): Expression[] => [loadPayload(etherSource), addToSet(openedSet)];

/** What opens it of what the machine sends: what opens the switch's flows too. */
function announcements(port: AttachmentPort): Expression[][] {
  const own = macBytes(port.mac);
  const ofType = (type: number): Expression[] => [...isField(etherSource, own), ...isField(etherType, bigEndian16(type))];
  const advertisement = [...ofType(etherTypes.ipv6), ...isField(ip6NextHeader, Uint8Array.of(icmp6)), ...isField(ip6Destination, allNodes), ...isField(icmp6Type, Uint8Array.of(neighbourAdvertisement))];
  return [
    [...ofType(etherTypes.rarp), ...isField(arpSenderMac, own), ...open()],
    ...addresses4({ port }).map(addressBytes).map((address) => [...ofType(etherTypes.arp), ...isField(arpSenderMac, own), ...isField(arpSenderAddress, address), ...isField(arpTargetAddress, address), ...open()]),
    ...own6(port).map((source) => [...advertisement, ...isField(ip6Source, source), verdict('goto', advertisedChain)]),
  ];
}

/** Its target is an own address, and its target's MAC, where it says one, the own one. */
function advertised(port: AttachmentPort): Expression[][] {
  const option = Uint8Array.of(targetLinkLayerAddress, 1, ...macBytes(port.mac));
  return own6(port).flatMap((target) => [
    [...isField(ip6Length, bigEndian16(advertisementBytes)), ...isField(ndTarget, target), ...open()],
    [...isField(ip6Length, bigEndian16(advertisementBytes + option.length)), ...isField(ndTarget, target), ...isField(ndOption, option), ...open()],
  ]);
}

function own6(port: AttachmentPort): Uint8Array[] {
  return port.addresses.length === 0 ? [] : addresses6({ port }).map(addressBytes);
}

/**
 * What the switch gives it: the source's word, which the machine is not to see, and the rest. Of a frame that is dropped ovs-vswitchd hears as of an error,
 * and gives up what it was to send behind it in one go (lib/netdev-linux.c, netdev_linux_sock_batch_send()), what is let in by then too.
 */
function deliveries({ mac }: Pick<Gated, 'mac'>, end: readonly Expression[]): Expression[][] {
  const own = macBytes(mac);
  const drop = [counter(), ...end];
  return [
    [...isField(etherDestination, own), ...isField(etherSource, own), ...isField(etherType, bigEndian16(etherTypes.rarp)), loadPayload(etherDestination), addToSet(openedSet), ...drop],
    [...isField(etherDestination, own), loadPayload(etherDestination), lookup(openedSet, { isIn: false }), ...drop],
  ];
}

/** How the way of a frame ends; the second where the kernel has no `fwd` for what is sent (before 5.17, or CONFIG_NFT_FWD_NETDEV is not set). */
const ends = [swallow(), [verdict('drop')]] as const;

function tableRequests(port: AttachmentPort, end: readonly Expression[]): NetlinkRequest[] {
  const table = gateTable(port);
  const hook = { priority: 0, type: 'filter', link: port.hostIf } as const;
  return [
    createTable(table),
    addSet(table, { name: openedSet, key: ['etherAddress'], id: 1, isDynamic: true }),
    addChain(table, { name: 'sent', hook: { ...hook, point: 'ingress' } }),
    addChain(table, { name: 'received', hook: { ...hook, point: 'egress' } }),
    addChain(table, { name: advertisedChain }),
    ...announcements(port).map((rule) => addRule(table, 'sent', rule)),
    ...advertised(port).map((rule) => addRule(table, advertisedChain, rule)),
    ...deliveries(port, end).map((rule) => addRule(table, 'received', rule)),
  ];
}

function isFound(outcome: unknown): boolean {
  if (!(outcome instanceof NetlinkError)) return true;
  if (outcome.errnoCode === 'ENOENT') return false;
  throw outcome;
}

/** Whether the gate stands, closed or opened. A chain goes with its link. */
export function hasGate(netfilter: Netlink, port: Pick<Gated, 'hostIf'>): boolean {
  const table = gateTable(port);
  return netfilter.tryRequest(chains.map((chain) => getChain(table, chain))).every(isFound);
}

/** What is wrong with it, which `close` mends: without a gate a machine that does not run yet gets what is for the one that does. */
export function gateFaults(netfilter: Netlink, port: AttachmentPort, close: () => void): PortFault[] {
  if (!isWaiting(port) || hasGate(netfilter, port)) return [];
  return [{ what: `nothing keeps frames from ${port.hostIf}, whose machine does not run here yet`, remedy: { done: 'closed', apply: close } }];
}

/** Makes the gate of a port that waits, closed, where it does not stand; whose host interface is there. @returns whether it was made @throws WeftError kernelRefused */
export function ensureGate(netfilter: Netlink, port: AttachmentPort): boolean {
  if (!isWaiting(port) || hasGate(netfilter, port)) return false;
  const isThere = netfilter.tryRequest([getTable(gateTable(port))]).every(isFound);
  const make = (end: readonly Expression[]): void => commitBatch(netfilter, [...(isThere ? [deleteTable(gateTable(port))] : []), ...tableRequests(port, end)]);
  try {
    try {
      make(ends[0]);
    } catch (error) {
      if (!isRefusal(error, 'ENOENT', 'EOPNOTSUPP')) throw error;
      make(ends[1]);
    }
    return true;
  } catch (error) {
    if (!isRefusal(error, 'EOPNOTSUPP', 'EPROTONOSUPPORT')) throw error;
    throw new WeftError('kernelRefused', 'Cannot keep frames from a machine that does not run yet: the kernel needs nf_tables for single links, in and out: CONFIG_NF_TABLES_NETDEV and CONFIG_NETFILTER_EGRESS must be set', { cause: error });
  }
}

/** Opens it, if it stands. @throws NetlinkError */
export function openGate(netfilter: Netlink, port: Gated): void {
  if (hasGate(netfilter, port)) commitBatch(netfilter, [addElement(gateTable(port), openedElement(port))]);
}

/** Whether the machine, or the source, has opened it. */
export function isGateOpen(netfilter: Netlink, port: Gated): boolean {
  return netfilter.tryRequest([getElement(gateTable(port), openedElement(port))]).every(isFound);
}

/** Takes it away, whether it stands or not: then the port gets everything. */
export function removeGate(netfilter: Netlink, port: Pick<Gated, 'hostIf'>): void {
  const table = gateTable(port);
  if (netfilter.tryRequest([getTable(table)]).every(isFound)) commitBatch(netfilter, [deleteTable(table)]);
}

/** Takes away those behind which none of the attachments waits, or has waited; what went, in words. */
export function collectGates(netfilter: Netlink, ports: readonly AttachmentPort[]): string[] {
  const known = new Set(ports.filter(isRelayedTo).map((port) => gateTable(port).table));
  const isGate = (name: string | undefined): name is string => name !== undefined && name.endsWith(suffix) && isPortName(name.slice(0, -suffix.length));
  const garbage = netfilter.dump(listTables('netdev')).map(describedTable).filter(isGate).filter((name) => !known.has(name));
  for (const name of garbage) removeGate(netfilter, { hostIf: name.slice(0, -suffix.length) });
  return garbage.map((name) => `nft table netdev ${name}`);
}
