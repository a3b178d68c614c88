/** Building frames by hand, right ones and wrong ones. Pure: text addresses in, bytes out. */

export const etherTypes = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd, vlan: 0x8100, serviceVlan: 0x88a8, lldp: 0x88cc, experimental: 0x88b5 } as const;
const protocols = { hopByHop: 0, udp: 17, fragment: 44, icmpv6: 58, noNext: 59, destinationOptions: 60 } as const;

export const broadcastMac = 'ff:ff:ff:ff:ff:ff';

export interface Tag {
  readonly type: 'vlan' | 'serviceVlan';
  /** VLAN id, 12 bits; 0 is a priority tag. */
  readonly id: number;
}

export interface EthernetFields {
  readonly dst: string;
  readonly src: string;
  readonly type: number;
  /** Outermost first. */
  readonly tags?: readonly Tag[];
}

/** An Ethernet frame, without frame check sequence, padded to the least size (IEEE 802.3 §3.2.7). */
export function ethernet({ dst, src, type, tags = [] }: EthernetFields, payload: Buffer): Buffer {
  const tagBytes = tags.map((tag) => Buffer.concat([u16(etherTypes[tag.type]), u16(tag.id)]));
  const frame = Buffer.concat([macBytes(dst), macBytes(src), ...tagBytes, u16(type), payload]);
  return frame.length >= 60 ? frame : Buffer.concat([frame, Buffer.alloc(60 - frame.length)]);
}

/** An IEEE 802.3 frame with a length in the place of the type, and a logical link control header (IEEE 802.2). */
export function llcFrame({ dst, src, sap }: { readonly dst: string; readonly src: string; readonly sap: number }, payload: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from([sap, sap, 3]), payload]);
  return ethernet({ dst, src, type: body.length }, body);
}

export interface Endpoints {
  readonly src: string;
  readonly dst: string;
}

/** A UDP datagram in an IP packet, of the family of the addresses. */
export function udpPacket(endpoints: Endpoints, payload: Buffer, options: { readonly port?: number; readonly withIpOptions?: boolean } = {}): Buffer {
  return ipPacket(endpoints, protocols.udp, udpDatagram(endpoints, options.port ?? 9, payload), options);
}

/** The same packet in two IPv4 fragments (RFC 791 §3.2): the UDP header is only in the first. */
export function fragmentedUdpPacket(endpoints: Endpoints, port: number, payload: Buffer): readonly Buffer[] {
  const datagram = udpDatagram(endpoints, port, payload);
  const cut = 16;
  return [
    ipv4Packet(endpoints, protocols.udp, datagram.subarray(0, cut), { flagsAndOffset: 0x2000 }),
    ipv4Packet(endpoints, protocols.udp, datagram.subarray(cut), { flagsAndOffset: cut / 8 }),
  ];
}

/** A VXLAN packet's UDP payload (RFC 7348 §5): the header with the VNI, then the inner frame. */
export function vxlanPayload(vni: number, innerFrame: Buffer): Buffer {
  return Buffer.concat([u32(0x08000000), u32(vni * 256), innerFrame]);
}

/** A Geneve packet's UDP payload (RFC 8926 §3.4): the header with the VNI and without options, then the inner frame. */
export function genevePayload(vni: number, innerFrame: Buffer): Buffer {
  return Buffer.concat([u32(0x00006558), u32(vni * 256), innerFrame]);
}

export interface ArpFields {
  readonly operation: 'request' | 'reply';
  readonly senderMac: string;
  readonly senderIp: string;
  /** @default the zero address */
  readonly targetMac?: string;
  readonly targetIp: string;
}

/** An ARP packet (RFC 826) with a marker behind it, where a frame has its padding. */
export function arpPacket({ operation, senderMac, senderIp, targetMac = '00:00:00:00:00:00', targetIp }: ArpFields, marker: string): Buffer {
  const header = Buffer.from([0, 1, 8, 0, 6, 4, 0, operation === 'request' ? 1 : 2]);
  return Buffer.concat([header, macBytes(senderMac), ipBytes(senderIp), macBytes(targetMac), ipBytes(targetIp), Buffer.from(marker)]);
}

/** What stands between the IPv6 header and ICMPv6, for those who look only at the first header. */
export type ExtensionHeader = 'hopByHop' | 'destinationOptions' | 'fragment';

/**
 * A neighbour discovery message (RFC 4861 §4) with hop limit 255. The marker is in the IPv6 header: a message with an option
 * more than it needs might be refused for that and not for its lie, and padding behind the packet is cut off by bridges.
 */
export function neighbourDiscovery(endpoints: Endpoints, message: Buffer, marker: string, extension?: ExtensionHeader): Buffer {
  const icmp = Buffer.from(message);
  icmp.writeUInt16BE(transportChecksum(endpoints, protocols.icmpv6, icmp), 2);
  const packet = icmpv6Packet(endpoints, icmp, extension);
  headerMark(marker).copy(packet, 0, 2);
  return packet;
}

/**
 * How a marker shows in a frame whose IPv6 header carries it: the EtherType, then version, a traffic class that nothing here
 * uses, and a flow label made of the marker's digits (RFC 8200 §3).
 */
export function headerMark(marker: string): Buffer {
  return Buffer.concat([u16(etherTypes.ipv6), u32(0x6e400000 + Number(/\d+$/.exec(marker)?.[0]))]);
}

/** RFC 4861 §4.3. */
export function neighbourSolicitation(target: string, sourceMac?: string): Buffer {
  return Buffer.concat([Buffer.from([135, 0, 0, 0, 0, 0, 0, 0]), ipBytes(target), ...(sourceMac === undefined ? [] : [ndOption(1, macBytes(sourceMac))])]);
}

/** RFC 4861 §4.4, with the override flag: it replaces what the receiver knows. One option for each MAC. */
export function neighbourAdvertisement(target: string, ...targetMacs: readonly string[]): Buffer {
  return Buffer.concat([Buffer.from([136, 0, 0, 0, 0x20, 0, 0, 0]), ipBytes(target), ...targetMacs.map((mac) => ndOption(2, macBytes(mac)))]);
}

/** The message with an option of an unassigned type behind it (RFC 4861 §4.6: receivers ignore it). */
export function withUnknownOption(message: Buffer): Buffer {
  return Buffer.concat([message, ndOption(253, Buffer.alloc(6))]);
}

/** RFC 4861 §4.1. */
export function routerSolicitation(sourceMac: string): Buffer {
  return Buffer.concat([Buffer.from([133, 0, 0, 0, 0, 0, 0, 0]), ndOption(1, macBytes(sourceMac))]);
}

/** RFC 4861 §4.2: a default router for 1800 s. */
export function routerAdvertisement(sourceMac: string): Buffer {
  return Buffer.concat([Buffer.from([134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0]), ndOption(1, macBytes(sourceMac))]);
}

/** RFC 4861 §4.5: the destination is better reached through target. */
export function redirect(target: string, destination: string, targetMac: string): Buffer {
  return Buffer.concat([Buffer.from([137, 0, 0, 0, 0, 0, 0, 0]), ipBytes(target), ipBytes(destination), ndOption(2, macBytes(targetMac))]);
}

/** The link-local address that an interface makes of its MAC (RFC 4291 appendix A). */
export function linkLocalOf(mac: string): string {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = macBytes(mac);
  const groups = [(a ^ 2) * 256 + b, c * 256 + 0xff, 0xfe00 + d, e * 256 + f];
  return `fe80::${groups.map((group) => group.toString(16)).join(':')}`;
}

function ipPacket(endpoints: Endpoints, protocol: number, payload: Buffer, { withIpOptions = false }: { readonly withIpOptions?: boolean }): Buffer {
  if (endpoints.src.includes(':')) return ipv6Packet(endpoints, protocol, payload, 64);
  return ipv4Packet(endpoints, protocol, payload, { options: withIpOptions ? Buffer.alloc(8, 1) : Buffer.alloc(0) });
}

interface Ipv4Fields {
  readonly flagsAndOffset?: number;
  /** A multiple of four bytes; 1 is "no operation" (RFC 791 §3.1). */
  readonly options?: Buffer;
}

function ipv4Packet({ src, dst }: Endpoints, protocol: number, payload: Buffer, { flagsAndOffset = 0, options = Buffer.alloc(0) }: Ipv4Fields): Buffer {
  const headerBytes = 20 + options.length;
  const identification = 0x7477;
  const start = [Buffer.from([0x40 + headerBytes / 4, 0]), u16(headerBytes + payload.length), u16(identification), u16(flagsAndOffset)];
  const header = Buffer.concat([...start, Buffer.from([64, protocol, 0, 0]), ipBytes(src), ipBytes(dst), options]);
  header.writeUInt16BE(internetChecksum(header), 10);
  return Buffer.concat([header, payload]);
}

function ipv6Packet({ src, dst }: Endpoints, nextHeader: number, payload: Buffer, hopLimit: number): Buffer {
  return Buffer.concat([u32(0x60000000), u16(payload.length), Buffer.from([nextHeader, hopLimit]), ipBytes(src), ipBytes(dst), payload]);
}

function icmpv6Packet(endpoints: Endpoints, icmp: Buffer, extension: ExtensionHeader | undefined): Buffer {
  if (extension === undefined) return ipv6Packet(endpoints, protocols.icmpv6, icmp, 255);
  // Hop-by-hop and destination options: next header, length 0, one PadN of four bytes (RFC 8200 §4.2).
  const body = extension === 'fragment' ? [0, 0, 0, 0, 0, 1] : [1, 4, 0, 0, 0, 0];
  const header = Buffer.from([protocols.icmpv6, 0, ...body]);
  return ipv6Packet(endpoints, protocols[extension], Buffer.concat([header, icmp]), 255);
}

function udpDatagram(endpoints: Endpoints, port: number, payload: Buffer): Buffer {
  const datagram = Buffer.concat([u16(40000), u16(port), u16(8 + payload.length), u16(0), payload]);
  // A sum of zero is sent as all ones, for zero says "none" (RFC 768).
  datagram.writeUInt16BE(transportChecksum(endpoints, protocols.udp, datagram) || 0xffff, 6);
  return datagram;
}

/** The checksum over pseudo header and segment: RFC 768 for IPv4, RFC 8200 §8.1 for IPv6. */
function transportChecksum({ src, dst }: Endpoints, protocol: number, segment: Buffer): number {
  return internetChecksum(Buffer.concat([ipBytes(src), ipBytes(dst), u32(segment.length), u32(protocol), segment]));
}

/** RFC 1071. */
function internetChecksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt8(at) * 256 + (at + 1 < bytes.length ? bytes.readUInt8(at + 1) : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Type, length in units of eight bytes, content, padding (RFC 4861 §4.6). */
function ndOption(type: number, content: Buffer): Buffer {
  const units = Math.ceil((2 + content.length) / 8);
  return Buffer.concat([Buffer.from([type, units]), content], units * 8);
}

function macBytes(mac: string): Buffer {
  return Buffer.from(mac.replaceAll(':', ''), 'hex');
}

function ipBytes(address: string): Buffer {
  if (!address.includes(':')) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const groups = (text: string): readonly string[] => text.split(':').filter((group) => group !== '');
  const [left, right] = [groups(head), groups(tail ?? '')];
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  return Buffer.concat([...left, ...zeros, ...right].map((group) => u16(parseInt(group, 16))));
}

function u16(value: number): Buffer {
  return Buffer.from([value >>> 8, value & 0xff]);
}

function u32(value: number): Buffer {
  return Buffer.concat([u16(value >>> 16), u16(value & 0xffff)]);
}
