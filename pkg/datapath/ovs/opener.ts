/**
 * How the source opens the gate of a port before the switch has looked at a frame: what it sends in the machine's place (openingDatagram()) is seen
 * where it comes into the node, by a chain of the gate's own table. ovs-vswitchd hands on one packet behind the other, and is milliseconds behind
 * where much comes in; frames that the source relays are in that queue as well, and find the gate open when it is their turn.
 *
 *     underlay ──▶ ingress of the card: from the source, the relay's VNI, from the MAC to itself: opened ──▶ … switch … ──▶ gate ──▶ the machine
 *
 * Where there is no such chain the frame opens the gate when the switch gives it to the port.
 */
import { addressBytes, macBytes } from '../../netaddr/netaddr.ts';
import { NetlinkError } from '../../netlink/netlink-error.ts';
import { addToSet, compare, loadMeta, loadPayload, type Expression, type PayloadField } from '../../nftables/expression.ts';
import { addChain, addRule, commitBatch } from '../../nftables/nftables.ts';
import { etherTypes } from '../../openflow/match.ts';
import type { AttachmentPort, PortMigration, Segment } from '../../overlay/model.ts';
import { spareVni } from '../../overlay/spare.ts';
import { findEgress } from '../egress.ts';
import { bigEndian16 } from '../guard/guard-rules.ts';
import type { Kernel } from '../kernel.ts';
import { ensureGate, gateTable, openedSet } from './gate.ts';
import type { OvsSwitch } from './switch/switch.ts';

/** Before other chains at the card, which may drop what the switch takes past the kernel. */
const priority = -300;
const udp = Uint8Array.of(17);

// Offsets in bytes: RFC 791 §3.1; RFC 8200 §3; RFC 768; behind it the VNI, where VXLAN (RFC 7348 §5) and Geneve (RFC 8926 §3.4) have it, and the frame.
const etherType: PayloadField = { base: 'link', offset: 12, length: 2 };
const sourceAddress = { 4: { base: 'network', offset: 12, length: 4 }, 6: { base: 'network', offset: 8, length: 16 } } as const satisfies Readonly<Record<4 | 6, PayloadField>>;
const udpDestination: PayloadField = { base: 'transport', offset: 2, length: 2 };
/** Of Geneve: without options. */
const headerBegin: PayloadField = { base: 'transport', offset: 8, length: 1 };
const vniField: PayloadField = { base: 'transport', offset: 12, length: 3 };
const innerDestination: PayloadField = { base: 'transport', offset: 16, length: 6 };
const innerSource: PayloadField = { base: 'transport', offset: 22, length: 6 };
const innerType: PayloadField = { base: 'transport', offset: 28, length: 2 };

/** What the port waits in. */
export interface WaitingPlace {
  readonly segment: Segment;
  readonly port: AttachmentPort;
}

/** Closes a port that waits, but for its machine and the source. @throws as ensureGate() */
export function closeWaiting({ kernel, ovs }: OpenerParts, { segment, port }: WaitingPlace): void {
  if (ensureGate(kernel.netfilter, port)) letSourceOpen({ kernel, ovs }, { segment, port });
}

interface OpenerParts {
  readonly kernel: Pick<Kernel, 'route' | 'netfilter'>;
  readonly ovs: Pick<OvsSwitch, 'arrivalLinks'>;
}

/** Whatever is in the way only makes it slower. */
function letSourceOpen({ kernel: { route, netfilter }, ovs }: OpenerParts, { segment, port }: WaitingPlace): void {
  const { migration } = port;
  if (migration === undefined) return;
  try {
    const egress = findEgress(route, migration.other);
    if (egress === undefined) return;
    const table = gateTable(port);
    const rule = openingRule(segment, { port, migration });
    const requests = ovs.arrivalLinks(egress.link.name).flatMap((card, at) => {
      const name = `card${at}`;
      return [addChain(table, { name, hook: { point: 'ingress', priority, type: 'filter', link: card } }), addRule(table, name, rule)];
    });
    commitBatch(netfilter, requests);
  } catch (error) {
    if (!(error instanceof NetlinkError)) throw error;
  }
}

function openingRule({ vni, vtepPort, encapsulation }: Segment, { port: { mac }, migration: { other } }: { readonly port: AttachmentPort; readonly migration: PortMigration }): Expression[] {
  const is = (field: PayloadField, bytes: Uint8Array): Expression[] => [loadPayload(field), compare('equal', bytes)];
  const own = macBytes(mac);
  return [
    ...is(etherType, bigEndian16(other.family === 4 ? etherTypes.ipv4 : etherTypes.ipv6)),
    ...is(sourceAddress[other.family], addressBytes(other)),
    loadMeta('l4Protocol'), compare('equal', udp),
    ...is(udpDestination, bigEndian16(vtepPort)),
    ...(encapsulation === 'geneve' ? is(headerBegin, Uint8Array.of(0)) : []),
    ...is(vniField, threeBytes(spareVni(vni))),
    ...is(innerDestination, own),
    ...is(innerType, bigEndian16(etherTypes.rarp)),
    ...is(innerSource, own),
    addToSet(openedSet),
  ];
}

function threeBytes(value: number): Uint8Array {
  const bytes = Buffer.alloc(3);
  bytes.writeUIntBE(value, 0, 3);
  return bytes;
}
