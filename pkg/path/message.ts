/**
 * What the daemons of two nodes say to each other over UDP to find out how large a packet passes between them. Pure.
 *
 *   question   "weft" version kind(1) 0 0   nonce (16)   zeros, and noise up to the size that is asked for
 *   answer     "weft" version kind(2) 0 0   nonce (16)   how many bytes of question came (4)   length (1) and text of the node's name
 *
 * An answer is never longer than its question, so that nobody can make a node send more than was sent to it.
 */
import { randomFillSync } from 'node:crypto';
import type { Family } from '../netaddr/netaddr.ts';

/** Somebody wants to know whether all of this comes. */
export interface Question {
  readonly kind: 'question';
  readonly nonce: string;
}

/** It came, or this much of it. */
export interface Answer {
  readonly kind: 'answer';
  /** Of the question. */
  readonly nonce: string;
  /** Bytes of UDP data of the question. */
  readonly receivedBytes: number;
  /** Of the node that answers. Whoever sends it says what he likes. */
  readonly node: string;
}

/** RFC 791 §3.1 without options or RFC 8200 §3, and RFC 768: what is in a packet beside the data. */
export const headerBytes: Readonly<Record<Family, number>> = { 4: 20 + 8, 6: 40 + 8 };

const magic = Buffer.from('weft');
const version = 1;
const kinds = { question: 1, answer: 2 } as const;
const nonceAt = 8;
const nonceBytes = 16;
const nonceEnd = nonceAt + nonceBytes;
const nameAt = nonceEnd + 4 + 1;
/** A label of DNS has as many (RFC 1035 §2.3.4). */
const nodeBytesMax = 63;
/** The longest answer, and so the shortest question, bytes of UDP data. */
export const answerBytesMax: number = nameAt + nodeBytesMax;
/** The smallest packet that is asked about, bytes: whoever answers it is there. Large enough for a question in either family, and inside a tunnel. */
export const packetBytesMin = 256;
/** The largest packet there is (RFC 791 §3.1), bytes. */
export const packetBytesMax = 65_535;
/** Of a datagram no more has to be looked at. */
export const messageBytesMax: number = answerBytesMax;

/** What questions are filled up with: a link that compresses must not take a large packet for a small one. */
const noise = Buffer.alloc(packetBytesMax);
let isNoisy = false;

/** A question of so many bytes, with a nonce (32 hexadecimal digits) that nobody can guess. */
export function encodeQuestion(nonce: string, dataBytes: number): Buffer {
  if (!isNoisy) randomFillSync(noise);
  isNoisy = true;
  const bytes = Buffer.from(noise.subarray(0, Math.max(dataBytes, answerBytesMax)));
  writeHeader(bytes, kinds.question, nonce);
  return bytes;
}

/** The answer to a question. The name is cut where it is too long. */
export function encodeAnswer({ nonce, receivedBytes, node }: Omit<Answer, 'kind'>): Buffer {
  const name = cut(node);
  const bytes = Buffer.alloc(nameAt + name.length);
  writeHeader(bytes, kinds.answer, nonce);
  bytes.writeUInt32BE(receivedBytes, nonceEnd);
  bytes.writeUInt8(name.length, nameAt - 1);
  bytes.set(name, nameAt);
  return bytes;
}

/** What a datagram says; undefined for what no weft of this version would send. @param wholeBytes how long it was; `data` may be its beginning */
export function decodeMessage(data: Uint8Array, wholeBytes: number): Question | Answer | undefined {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const kind = kindOf(bytes);
  if (kind === undefined || wholeBytes < bytes.length) return undefined;
  const nonce = bytes.toString('hex', nonceAt, nonceEnd);
  if (kind === kinds.question) return wholeBytes < answerBytesMax ? undefined : { kind: 'question', nonce };
  if (bytes.length < nameAt || wholeBytes !== nameAt + bytes.readUInt8(nameAt - 1) || wholeBytes !== bytes.length) return undefined;
  return { kind: 'answer', nonce, receivedBytes: bytes.readUInt32BE(nonceEnd), node: harmless(bytes.toString('utf8', nameAt)) };
}

/** The nonce of a question of which a router has quoted the beginning; undefined where it has quoted too little to know it. */
export function quotedNonce(quoted: Buffer): string | undefined {
  return kindOf(quoted) === kinds.question ? quoted.toString('hex', nonceAt, nonceEnd) : undefined;
}

function kindOf(bytes: Buffer): number | undefined {
  if (bytes.length < nonceEnd || !bytes.subarray(0, magic.length).equals(magic) || bytes.readUInt8(4) !== version) return undefined;
  const kind = bytes.readUInt8(5);
  return kind === kinds.question || kind === kinds.answer ? kind : undefined;
}

function writeHeader(bytes: Buffer, kind: number, nonce: string): void {
  bytes.set(magic, 0);
  bytes.writeUInt8(version, 4);
  bytes.writeUInt8(kind, 5);
  bytes.writeUInt16BE(0, 6);
  bytes.write(nonce, nonceAt, nonceBytes, 'hex');
}

/** At most as many bytes as there is room for, without half a character at the end. */
function cut(name: string): Buffer {
  let text = name;
  while (Buffer.byteLength(text) > nodeBytesMax) text = [...text].slice(0, -1).join('');
  return Buffer.from(text);
}

/** Without what turns or moves the text around it: it ends up in logs and on terminals. */
function harmless(name: string): string {
  return name.replace(/[\p{C}\p{Zl}\p{Zp}\ufffd]/gu, '?');
}
