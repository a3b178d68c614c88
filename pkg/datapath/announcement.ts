/**
 * Telling the others where a new container is. Frames as they go onto the wire. Pure.
 *
 * The other nodes learn from one frame, VXLAN devices and switches alike, and one is enough: it goes through the tunnel to the gateway's
 * MAC, which every node has for its own. There it ends, and is flooded to nobody. (What the container's kernel would say, by
 * `arp_notify` and the like, comes before its bridge port forwards, and would be handled by every container of the tenant: with 900
 * on a node that took longer than the rest of an ADD.)
 *
 * Neighbours need not be told, for an address has a MAC made from it. Where the MAC was asked for, or is kept for an endpoint,
 * they may remember another one, and are told by gratuitous ARP and unsolicited neighbour advertisements.
 */
import { complementOf, onesComplementSum } from '../digest/internet-checksum.ts';
import { addressBytes, macBytes, macFromAddress, parseMac, type Address, type Mac } from '../netaddr/netaddr.ts';
import type { AttachmentPort } from '../overlay/model.ts';

/** Without the checksum; shorter frames are padded (IEEE 802.3). */
const frameBytesMin = 60;
const etherTypes = { arp: 0x0806, rarp: 0x8035, ip6: 0x86dd } as const;
const broadcast = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
/** ff02::1, all nodes, and the MAC that stands for it (RFC 2464 §7). */
const allNodes = Uint8Array.of(0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
const allNodesMac = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);
/** Operations of ARP (RFC 826) and RARP (RFC 903). */
const operations = { request: 1, requestReverse: 3 } as const;

/** Documentation's (RFC 9542 §2.1.2): to try out what will be sent. */
export const nobodysMac: Mac = parseMac('00:00:5e:00:53:00');

/** Whether neighbours may remember another MAC for one of the port's addresses. */
export function hasChosenMac({ mac, addresses }: Pick<AttachmentPort, 'mac' | 'addresses'>): boolean {
  const first = addresses[0];
  return first === undefined || mac !== macFromAddress(first.address);
}

/** A RARP request from the MAC, as hypervisors send it after a migration: it carries no address, and nobody answers it. */
export function locationFrame(mac: Mac, to: Mac): Buffer {
  const own = macBytes(mac);
  return ethernet(macBytes(to), own, { etherType: etherTypes.rarp, payload: arp(operations.requestReverse, own, new Uint8Array(4)) });
}

/** By which the source of a migration opens the gate of its target, in the machine's place: from its MAC to itself, as no machine sends it beyond its own port. */
export function openingFrame(mac: Mac): Buffer {
  return locationFrame(mac, mac);
}

/** The same inside the tunnel: what a UDP datagram to the other VTEP carries. Headers of VXLAN (RFC 7348 §5), and of Geneve without options (RFC 8926 §3.4). */
export function openingDatagram(mac: Mac, { vni, encapsulation }: { readonly vni: number; readonly encapsulation?: 'geneve' }): Buffer {
  const header = Buffer.alloc(tunnelHeaderBytes);
  if (encapsulation === 'geneve') header.writeUInt16BE(transparentEthernetBridging, 2);
  else header.writeUInt8(vniIsValid, 0);
  header.writeUIntBE(vni, 4, 3);
  return Buffer.concat([header, openingFrame(mac)]);
}

const tunnelHeaderBytes = 8;
const vniIsValid = 0x08;
const transparentEthernetBridging = 0x6558;

/** Says to all neighbours that the address is at the MAC: an ARP announcement (RFC 5227 §1.1), or a neighbour advertisement (RFC 4861 §7.2.6). */
export function neighbourFrame(mac: Mac, address: Address): Buffer {
  const [own, bytes] = [macBytes(mac), addressBytes(address)];
  if (address.family === 4) return ethernet(broadcast, own, { etherType: etherTypes.arp, payload: arp(operations.request, own, bytes) });
  return ethernet(allNodesMac, own, { etherType: etherTypes.ip6, payload: advertisement(own, bytes) });
}

function ethernet(to: Uint8Array, from: Uint8Array, { etherType, payload }: { readonly etherType: number; readonly payload: Uint8Array }): Buffer {
  const frame = Buffer.alloc(Math.max(frameBytesMin, 14 + payload.length));
  frame.set(to, 0);
  frame.set(from, 6);
  frame.writeUInt16BE(etherType, 12);
  frame.set(payload, 14);
  return frame;
}

/** Sender and target are the same; a RARP target is a MAC, an announcement's is unknown. */
function arp(operation: number, mac: Uint8Array, address: Uint8Array): Buffer {
  const target = operation === operations.requestReverse ? mac : new Uint8Array(6);
  // Ethernet and IPv4, six-byte and four-byte addresses.
  return Buffer.concat([Uint8Array.of(0, 1, 0x08, 0, 6, 4, 0, operation), mac, address, target, address]);
}

/** An IPv6 packet: header (RFC 8200 §3), and the advertisement with its target's link-layer address (RFC 4861 §4.4, §4.6.1). */
function advertisement(mac: Uint8Array, address: Uint8Array): Buffer {
  const [icmp6, hopLimit, overrideFlag] = [58, 255, 0x20];
  const message = Buffer.concat([Uint8Array.of(136, 0, 0, 0, overrideFlag, 0, 0, 0), address, Uint8Array.of(2, 1), mac]);
  const lengths = Uint8Array.of(0, 0, 0, message.length, 0, 0, 0, icmp6);
  message.writeUInt16BE(complementOf(onesComplementSum(Buffer.concat([address, allNodes, lengths, message]))), 2);
  const header = Buffer.concat([Uint8Array.of(0x60, 0, 0, 0, 0, message.length, icmp6, hopLimit), address, allNodes]);
  return Buffer.concat([header, message]);
}
