/**
 * What two daemons say to each other inside the tunnel: Ethernet frames with an IPv4 packet, as the tenants' are, whatever the underlay's family. Pure.
 *
 *     Ethernet (14) │ IPv4 (20) │ UDP (8) or TCP (20) │ head (24) │ padding, or the name of who answers
 *
 * A question in one packet is UDP. A question that is to be cut is TCP, which is what devices cut; each piece has a head of its own.
 * The addresses are of 198.18.0.0/15 (RFC 2544 §C.2.2) and nobody's: the packets leave the tunnel for a packet socket alone.
 */
import { macBytes, macFromBytes, type Mac } from '../../netaddr/netaddr.ts';
import type { LeftToDo, ReceivedFrame } from '../../sys/packet-channel.ts';
import { complementOf, onesComplementSum } from '../../digest/internet-checksum.ts';

/** IEEE 802.3, RFC 791 §3.1 without options, RFC 768, RFC 9293 §3.1 without options; bytes. */
const [ethernetBytes, ipBytes, udpBytes, tcpBytes] = [14, 20, 8, 20];
export const etherTypeIp4 = 0x0800;
const protocols = { udp: 17, tcp: 6 } as const;
/** Where the checksum is in the header of the protocol; bytes. */
const checksumOffsets = { udp: 6, tcp: 16 } as const;
const addresses = Uint8Array.of(198, 18, 0, 1, 198, 18, 0, 2);
const port = 24_791;
/** RFC 6335 §6. */
const dynamicPort = 49_152;
const dynamicPorts = 16_384;

const magic = 0x77667470;
const version = 1;
const headBytes = 24;
const nonceBytes = 8;
const kinds = { question: 1, piece: 2, answer: 3 } as const;
const verdicts = { intact: 1, corrupt: 2 } as const;
/** Of a node's name in an answer. */
const nameBytesMax = 64;

/** Least length of a question's IP packet inside the tunnel, bytes: no answer is longer than its question. */
export const questionBytesMin: number = ipBytes + udpBytes + headBytes + 1;
/** RFC 791 §3.1. */
const ipPacketBytesMax = 65_535;
export const piecesMax = 32;

/** Whether the bytes came as they were sent. */
export type Integrity = keyof typeof verdicts;

/** A frame to send. */
export interface OutgoingFrame {
  readonly frame: Buffer;
  readonly left?: LeftToDo;
}

interface Ends {
  readonly from: Mac;
  readonly to: Mac;
  /** Eight bytes that nobody can guess. */
  readonly nonce: Buffer;
}

/** A question in one IP packet of `packetBytes`, its checksum finished here or left to whoever sends it on. @throws RangeError */
export function questionFrame(ends: Ends, { packetBytes, isLeft }: { readonly packetBytes: number; readonly isLeft: boolean }): OutgoingFrame {
  if (packetBytes < questionBytesMin || packetBytes > ipPacketBytesMax) throw new RangeError(`A probe inside the tunnel has ${questionBytesMin} to ${ipPacketBytesMax} bytes of IP packet there: not ${packetBytes}`);
  const payload = Buffer.alloc(packetBytes - ipBytes - udpBytes);
  writeHead(payload, { kind: kinds.question, nonce: ends.nonce });
  return assemble(ends, 'udp', payload, isLeft);
}

/** A question of `pieces` pieces with `pieceBytes` of TCP payload each, which whoever sends it on is to cut, and to finish the checksums of. */
export function segmentedFrame(ends: Ends, { pieces, pieceBytes }: { readonly pieces: number; readonly pieceBytes: number }): OutgoingFrame {
  const payload = Buffer.alloc(pieces * pieceBytes);
  for (let number = 0; number < pieces; number += 1) {
    writeHead(payload.subarray(number * pieceBytes), { kind: kinds.piece, nonce: ends.nonce, number, pieces, pieceBytes });
  }
  const { frame, left } = assemble(ends, 'tcp', payload, true);
  return { frame, ...(left === undefined ? {} : { left: { ...left, segments: { kind: 'tcp4', headerBytes: ethernetBytes + ipBytes + tcpBytes, payloadBytes: pieceBytes } } }) };
}

/** An answer, with the name of who gives it as far as that makes it no longer than `bytesMax` of frame. */
export function answerFrame(ends: Ends, { integrity, node, bytesMax }: { readonly integrity: Integrity; readonly node: string; readonly bytesMax: number }): OutgoingFrame {
  const room = Math.max(0, Math.min(nameBytesMax, bytesMax - ethernetBytes - ipBytes - udpBytes - headBytes - 1));
  const name = Buffer.from(node);
  const payload = Buffer.concat([Buffer.alloc(headBytes + 1), name.length <= room ? name : Buffer.alloc(0)]);
  writeHead(payload, { kind: kinds.answer, nonce: ends.nonce, verdict: verdicts[integrity] });
  payload.writeUInt8(payload.length - headBytes - 1, headBytes);
  return assemble(ends, 'udp', payload, false);
}

interface Head {
  readonly kind: number;
  readonly nonce: Buffer;
  readonly verdict?: number;
  readonly number?: number;
  readonly pieces?: number;
  readonly pieceBytes?: number;
}

function writeHead(payload: Buffer, { kind, nonce, verdict = 0, number = 0, pieces = 0, pieceBytes = 0 }: Head): void {
  payload.writeUInt32BE(magic, 0);
  payload.set([version, kind, verdict, number], 4);
  nonce.copy(payload, 8, 0, nonceBytes);
  payload.writeUInt16BE(pieces, 16);
  payload.writeUInt16BE(pieceBytes, 18);
}

function readHead(payload: Buffer): Required<Head> | undefined {
  if (payload.length < headBytes || payload.readUInt32BE(0) !== magic || payload.readUInt8(4) !== version) return undefined;
  const [, , , , , kind = 0, verdict = 0, number = 0] = payload;
  return { kind, verdict, number, nonce: Buffer.from(payload.subarray(8, 8 + nonceBytes)), pieces: payload.readUInt16BE(16), pieceBytes: payload.readUInt16BE(18) };
}

function assemble({ from, to, nonce }: Ends, protocol: keyof typeof protocols, payload: Buffer, isLeft: boolean): OutgoingFrame {
  const transport = protocol === 'udp' ? udpHeader(payload.length, nonce) : tcpHeader(nonce);
  const segment = Buffer.concat([transport, payload]);
  const pseudo = pseudoSum(protocols[protocol], segment.length);
  const at = checksumOffsets[protocol];
  // RFC 768: no UDP checksum is sent as zero, which says that there is none.
  segment.writeUInt16BE(isLeft ? pseudo : complementOf(onesComplementSum(segment, pseudo)) || 0xffff, at);
  const frame = Buffer.concat([macBytes(to), macBytes(from), Uint8Array.of(etherTypeIp4 >> 8, etherTypeIp4 & 0xff), ipHeader(protocols[protocol], segment.length), segment]);
  return isLeft ? { frame, left: { checksumStart: ethernetBytes + ipBytes, checksumOffset: at } } : { frame };
}

/** The flow, and with it the tunnel's own port and the way through the underlay, is another with each nonce. */
function sourcePort(nonce: Buffer): number {
  return dynamicPort + (nonce.readUInt16BE(0) % dynamicPorts);
}

function udpHeader(payloadBytes: number, nonce: Buffer): Buffer {
  const header = Buffer.alloc(udpBytes);
  header.writeUInt16BE(sourcePort(nonce), 0);
  header.writeUInt16BE(port, 2);
  header.writeUInt16BE(udpBytes + payloadBytes, 4);
  return header;
}

function tcpHeader(nonce: Buffer): Buffer {
  const [wordsOfHeader, flagAck, window] = [5, 0x10, 0xffff];
  const header = Buffer.alloc(tcpBytes);
  header.writeUInt16BE(sourcePort(nonce), 0);
  header.writeUInt16BE(port, 2);
  header.writeUInt32BE(1, 4);
  header.writeUInt32BE(1, 8);
  header.set([wordsOfHeader << 4, flagAck], 12);
  header.writeUInt16BE(window, 14);
  return header;
}

function ipHeader(protocol: number, payloadBytes: number): Buffer {
  const [versionAndWords, dontFragment, hops] = [0x45, 0x4000, 64];
  const header = Buffer.alloc(ipBytes);
  header.writeUInt8(versionAndWords, 0);
  header.writeUInt16BE(ipBytes + payloadBytes, 2);
  header.writeUInt16BE(dontFragment, 6);
  header.set([hops, protocol], 8);
  header.set(addresses, 12);
  header.writeUInt16BE(complementOf(onesComplementSum(header)), 10);
  return header;
}

function pseudoSum(protocol: number, segmentBytes: number): number {
  return onesComplementSum(addresses, protocol + segmentBytes);
}

/** What a frame says. */
export type Message =
  | { readonly kind: 'question'; readonly from: Mac; readonly nonce: Buffer; readonly integrity: Integrity; readonly frameBytes: number }
  /** One or more pieces of a question, which devices may have put together again. */
  | { readonly kind: 'pieces'; readonly from: Mac; readonly nonce: Buffer; readonly integrity: Integrity; readonly frameBytes: number; readonly numbers: readonly number[]; readonly of: number }
  | { readonly kind: 'answer'; readonly from: Mac; readonly nonce: Buffer; readonly integrity: Integrity; readonly node?: string };

/** What a frame says; undefined for one that says nothing here. An answer whose checksum is wrong is none. */
export function readFrame(received: ReceivedFrame): Message | undefined {
  const segment = segmentOf(received.data);
  if (segment === undefined) return undefined;
  const { protocol, bytes } = segment;
  const integrity: Integrity = received.isUnfinished || received.isTrusted || isSound(protocol, bytes) ? 'intact' : 'corrupt';
  const [payload, from, frameBytes] = [bytes.subarray(protocol === protocols.udp ? udpBytes : tcpBytes), macFromBytes(received.data.subarray(6, 12)), received.data.length];
  const head = readHead(payload);
  if (head === undefined) return undefined;
  const { kind, nonce } = head;
  if (protocol === protocols.tcp) {
    const numbers = kind === kinds.piece ? pieceNumbers(payload, head) : undefined;
    return numbers && { kind: 'pieces', from, nonce, integrity, frameBytes, numbers, of: head.pieces };
  }
  if (kind === kinds.question) return { kind: 'question', from, nonce, integrity, frameBytes };
  return kind === kinds.answer && integrity === 'intact' ? readAnswer(payload, { from, head }) : undefined;
}

function segmentOf(data: Buffer): { readonly protocol: number; readonly bytes: Buffer } | undefined {
  if (data.length < ethernetBytes + ipBytes + udpBytes || data.readUInt16BE(12) !== etherTypeIp4) return undefined;
  const ip = data.subarray(ethernetBytes);
  const length = ip.readUInt16BE(2);
  const protocol = ip.readUInt8(9);
  const least = protocol === protocols.udp ? udpBytes : protocol === protocols.tcp ? tcpBytes : Infinity;
  if (ip.readUInt8(0) !== 0x45 || length > ip.length || length < ipBytes + least || ip.subarray(12, ipBytes).compare(addresses) !== 0) return undefined;
  const bytes = ip.subarray(ipBytes, length);
  return bytes.readUInt16BE(2) === port ? { protocol, bytes } : undefined;
}

function isSound(protocol: number, segment: Buffer): boolean {
  return onesComplementSum(segment, pseudoSum(protocol, segment.length)) === 0xffff;
}

function pieceNumbers(payload: Buffer, { nonce, pieces, pieceBytes }: Required<Head>): number[] | undefined {
  if (pieces < 1 || pieces > piecesMax || pieceBytes < headBytes || payload.length % pieceBytes !== 0) return undefined;
  const heads = Array.from({ length: payload.length / pieceBytes }, (_, index) => readHead(payload.subarray(index * pieceBytes)));
  const numbers = heads.map((head) => (head?.kind === kinds.piece && head.nonce.equals(nonce) && head.number < pieces ? head.number : undefined));
  const sound = numbers.filter((number) => number !== undefined);
  return sound.length === numbers.length ? sound : undefined;
}

function readAnswer(payload: Buffer, { from, head }: { readonly from: Mac; readonly head: Required<Head> }): Message | undefined {
  const integrity = (Object.keys(verdicts) as Integrity[]).find((name) => verdicts[name] === head.verdict);
  const nameBytes = payload.length > headBytes ? payload.readUInt8(headBytes) : 0;
  if (integrity === undefined || payload.length < headBytes + 1 + nameBytes) return undefined;
  const node = payload.toString('utf8', headBytes + 1, headBytes + 1 + nameBytes);
  // It is written to logs.
  return { kind: 'answer', from, nonce: head.nonce, integrity, ...(/^[\w.-]+$/.test(node) ? { node } : {}) };
}
