/** A UDP datagram as it is on the wire, for whoever sends it past the host's IP stack. Pure. */
import { complementOf, onesComplementSum } from '../digest/internet-checksum.ts';
import { addressBytes, macBytes, type Mac } from '../netaddr/netaddr.ts';
import type { UdpAddress } from '../sys/socket-address.ts';

const etherTypes = { 4: 0x0800, 6: 0x86dd } as const;
const udp = 17;
const hopLimit = 64;
const [headerBytes4, udpBytes] = [20, 8];

/** Ethernet, IPv4 (RFC 791 §3.1) or IPv6 (RFC 8200 §3), UDP (RFC 768), the data. Both addresses are of one family. */
export function udpFrame(link: { readonly from: Mac; readonly to: Mac }, { from, to }: { readonly from: UdpAddress; readonly to: UdpAddress }, data: Uint8Array): Buffer {
  const { family } = to.address;
  const addresses = Buffer.concat([addressBytes(from.address), addressBytes(to.address)]);
  const datagram = udpDatagram({ ports: [from.port, to.port], data, addresses: family === 6 ? addresses : undefined });
  const header = family === 6 ? header6(datagram.length) : header4(datagram.length, addresses);
  const type = Buffer.alloc(2);
  type.writeUInt16BE(etherTypes[family]);
  return Buffer.concat([macBytes(link.to), macBytes(link.from), type, header, addresses, datagram]);
}

/** Over IPv4 it needs no checksum, and a tunnel's has none (RFC 7348 §5); over IPv6 it must have one (RFC 8200 §8.1). */
function udpDatagram({ ports, data, addresses }: { readonly ports: readonly [number, number]; readonly data: Uint8Array; readonly addresses: Buffer | undefined }): Buffer {
  const datagram = Buffer.concat([Buffer.alloc(udpBytes), data]);
  datagram.writeUInt16BE(ports[0], 0);
  datagram.writeUInt16BE(ports[1], 2);
  datagram.writeUInt16BE(datagram.length, 4);
  if (addresses === undefined) return datagram;
  const sum = complementOf(onesComplementSum(datagram, onesComplementSum(addresses) + datagram.length + udp));
  datagram.writeUInt16BE(sum === 0 ? 0xffff : sum, 6);
  return datagram;
}

/** All of it but the addresses, which its checksum counts. */
function header4(dataBytes: number, addresses: Buffer): Buffer {
  const header = Buffer.alloc(headerBytes4 - addresses.length);
  header.writeUInt8(0x45, 0);
  header.writeUInt16BE(headerBytes4 + dataBytes, 2);
  header.writeUInt8(hopLimit, 8);
  header.writeUInt8(udp, 9);
  header.writeUInt16BE(complementOf(onesComplementSum(addresses, onesComplementSum(header))), 10);
  return header;
}

function header6(dataBytes: number): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(0x60, 0);
  header.writeUInt16BE(dataBytes, 4);
  header.writeUInt8(udp, 6);
  header.writeUInt8(hopLimit, 7);
  return header;
}
