/** Frames for the tests of the flows, honest and other ones. */
import { addressBytes, macBytes, parseAddress, parseMac, type Mac } from '../../../netaddr/netaddr.ts';

/** Ethernet header fields; destination and source are MACs as text. */
export interface Ether {
  readonly to: Mac;
  readonly from: Mac;
}

export const broadcast: Mac = parseMac('ff:ff:ff:ff:ff:ff');
const protocolIcmp6 = 58;

/** A frame that ends with a marker, behind whatever its payload says is its length. */
export function frame({ to, from }: Ether, etherType: number, payload: Uint8Array, marker: string): Buffer {
  const type = Buffer.alloc(2);
  type.writeUInt16BE(etherType);
  return Buffer.concat([macBytes(to), macBytes(from), type, payload, Buffer.from(marker), Buffer.alloc(Math.max(0, 46 - payload.length - marker.length))]);
}

/** What an ARP or RARP packet says; the target's MAC is unknown. */
export interface Arp {
  readonly operation: number;
  readonly senderMac: Mac;
  readonly senderAddress: string;
  readonly targetAddress: string;
}

/** RFC 826, for Ethernet and IPv4. */
export function arp({ operation, senderMac, senderAddress, targetAddress }: Arp): Buffer {
  return Buffer.concat([Uint8Array.of(0, 1, 0x08, 0, 6, 4, 0, operation), macBytes(senderMac), bytesOf(senderAddress), new Uint8Array(6), bytesOf(targetAddress)]);
}

function bytesOf(address: string): Uint8Array {
  return addressBytes(parseAddress(address));
}

/** An IPv4 packet of UDP without a checksum (RFC 768), from port 1234. */
export function udp4(from: string, to: string, { port = 9, payload = new Uint8Array(0) }: { readonly port?: number; readonly payload?: Uint8Array } = {}): Buffer {
  const header = Buffer.alloc(28);
  header.set([0x45, 0], 0);
  header.writeUInt16BE(28 + payload.length, 2);
  header.set([64, 17], 8);
  header.set(bytesOf(from), 12);
  header.set(bytesOf(to), 16);
  header.writeUInt16BE(checksum(header.subarray(0, 20)), 10);
  header.writeUInt16BE(1234, 20);
  header.writeUInt16BE(port, 22);
  header.writeUInt16BE(8 + payload.length, 24);
  return Buffer.concat([header, payload]);
}

/** A VXLAN header (RFC 7348 §5) in front of a frame. */
export function vxlan(vni: number, inner: Uint8Array): Buffer {
  return Buffer.concat([Uint8Array.of(8, 0, 0, 0, vni >> 16, (vni >> 8) & 0xff, vni & 0xff, 0), inner]);
}

/** An IPv6 packet (RFC 8200 §3) with hop limit 255. */
export function ip6(from: string, to: string, nextHeader: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(0x60, 0);
  header.writeUInt16BE(payload.length, 4);
  header.set([nextHeader, 255], 6);
  return Buffer.concat([header, bytesOf(from), bytesOf(to), payload]);
}

/** An ICMPv6 message with its checksum in an IPv6 packet. `before` stands between the two headers, and names 58 as what follows. */
export function icmp6(from: string, to: string, message: { readonly type: number; readonly code?: number; readonly body: Uint8Array; readonly before?: { readonly nextHeader: number; readonly bytes: Uint8Array } }): Buffer {
  const bytes = Buffer.concat([Uint8Array.of(message.type, message.code ?? 0, 0, 0), message.body]);
  const lengths = Uint8Array.of(0, 0, 0, bytes.length, 0, 0, 0, protocolIcmp6);
  bytes.writeUInt16BE(checksum(Buffer.concat([bytesOf(from), bytesOf(to), lengths, bytes])), 2);
  const { nextHeader, bytes: before } = message.before ?? { nextHeader: protocolIcmp6, bytes: new Uint8Array(0) };
  return ip6(from, to, nextHeader, Buffer.concat([before, bytes]));
}

/** The body of a solicitation or an advertisement (RFC 4861 §4.3, §4.4): 32 bits, the target, options. */
export function discoveryBody(target: string, ...options: readonly Uint8Array[]): Buffer {
  return Buffer.concat([new Uint8Array(4), bytesOf(target), ...options]);
}

/** A link-layer address option (RFC 4861 §4.6.1): type 1 for the source's, 2 for the target's. */
export function addressOption(type: 1 | 2, mac: Mac): Buffer {
  return Buffer.concat([Uint8Array.of(type, 1), macBytes(mac)]);
}

/** RFC 1071. */
function checksum(bytes: Buffer): number {
  const even = bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, new Uint8Array(1)]);
  let sum = 0;
  for (let at = 0; at < even.length; at += 2) sum += even.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
