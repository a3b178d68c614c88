/**
 * The expressions rules are made of, in nf_tables' wire form (include/uapi/linux/netfilter/nf_tables.h). Pure.
 *
 * weft speaks nf_tables itself and does not run `nft`: an ADD may not pay for a subprocess, a node need not have the program,
 * and three of the guard's matches (the VNI inside a VXLAN header, options of neighbour discovery) have no
 * syntax in the nft of Debian 12. `nft list ruleset` shows what is here, those three as `@th,…`.
 *
 * Registers: a value takes 32-bit registers from a start on; a concatenation is its parts side by side, each padded to 4 bytes.
 */
import { attribute, attributeBe32, attributeNested, attributeString } from '../netlink/codec.ts';

/** One expression, encoded. */
export type Expression = Uint8Array;

const register32 = 8;
const verdictRegister = 0;
/** IFNAMSIZ: interface names are compared with all their padding. */
export const ifNameBytes = 16;

const exprName = 1;
const exprData = 2;
const dataValue = 1;
const dataVerdict = 2;

function expression(name: string, attributes: readonly Uint8Array[]): Expression {
  return Buffer.concat([attributeString(exprName, name), attributeNested(exprData, attributes)]);
}

/** Where in the concatenation (in 32-bit words from its start) a value is put. */
export interface At {
  readonly word?: number;
}

function registerAt(options: At): number {
  return register32 + (options.word ?? 0);
}

const metaKeys = { mark: 3, inputInterface: 6, outputInterface: 7, networkFamily: 15, l4Protocol: 16 } as const;

/** Loads metadata: interface names (16 bytes), the packet's mark (4 bytes in the machine's order), the transport protocol (1 byte). */
export function loadMeta(key: keyof typeof metaKeys, options: At = {}): Expression {
  return expression('meta', [attributeBe32(1, registerAt(options)), attributeBe32(2, metaKeys[key])]);
}

const payloadBases = { link: 0, network: 1, transport: 2 } as const;

export interface PayloadField {
  readonly base: keyof typeof payloadBases;
  /** Bytes from the start of the header. */
  readonly offset: number;
  /** Bytes. */
  readonly length: number;
}

/** Loads bytes of the packet; where the packet is too short the rule does not match. */
export function loadPayload(field: PayloadField, options: At = {}): Expression {
  return expression('payload', [
    attributeBe32(1, registerAt(options)),
    attributeBe32(2, payloadBases[field.base]),
    attributeBe32(3, field.offset),
    attributeBe32(4, field.length),
  ]);
}

/** Loads the connection tracking state's bits, in the machine's byte order. */
export function loadConnectionState(): Expression {
  return expression('ct', [attributeBe32(1, register32), attributeBe32(2, 0)]);
}

function value(bytes: Uint8Array): Uint8Array {
  return attribute(dataValue, bytes);
}

const comparisons = { equal: 0, notEqual: 1 } as const;

/** Compares what was loaded with constant bytes; with fewer bytes than were loaded, only their beginning. */
export function compare(operator: keyof typeof comparisons, bytes: Uint8Array): Expression {
  return expression('cmp', [attributeBe32(1, register32), attributeBe32(2, comparisons[operator]), attributeNested(3, [value(bytes)])]);
}

/** Keeps only the bits of the mask. */
export function mask(bits: Uint8Array): Expression {
  return expression('bitwise', [
    attributeBe32(1, register32),
    attributeBe32(2, register32),
    attributeBe32(3, bits.length),
    attributeNested(4, [value(bits)]),
    attributeNested(5, [value(new Uint8Array(bits.length))]),
  ]);
}

/** Turns a 32-bit value from network to host byte order, in place. */
export function toHostOrder(options: At = {}): Expression {
  const networkToHost = 0;
  return expression('byteorder', [
    attributeBe32(1, registerAt(options)),
    attributeBe32(2, registerAt(options)),
    attributeBe32(3, networkToHost),
    attributeBe32(4, 4),
    attributeBe32(5, 4),
  ]);
}

/** Looks what was loaded up in a set; `isIn: false` matches what is not there. */
export function lookup(set: string, options: { isIn: boolean }): Expression {
  const flagInverted = 1;
  return expression('lookup', [attributeString(1, set), attributeBe32(2, register32), attributeBe32(5, options.isIn ? 0 : flagInverted)]);
}

/** Adds what was loaded to a set that rules may add to; where it is there already nothing happens. A set that is full ends the rule. */
export function addToSet(set: string): Expression {
  const operationAdd = 0;
  return expression('dynset', [attributeString(1, set), attributeBe32(3, operationAdd), attributeBe32(4, register32)]);
}

/** Sets the packet's mark, of four bytes in the machine's byte order. */
export function setMark(mark: Uint8Array): Expression[] {
  return [loadConstant(mark), expression('meta', [attributeBe32(2, metaKeys.mark), attributeBe32(3, register32)])];
}

/** Sends a copy of the frame out of the link of that number, as the frame is at this moment; only in tables of family netdev. */
export function duplicateTo(index: number): Expression[] {
  return [loadConstant(new Uint8Array(Uint32Array.of(index).buffer)), expression('dup', [attributeBe32(2, register32)])];
}

/**
 * Ends the packet's way without an error to whoever sends it, as a verdict `drop` is one at a link's egress (include/linux/netfilter_netdev.h,
 * nf_hook_egress()): hands it to a link that there is not (net/netfilter/nf_dup_netdev.c, nf_fwd_netdev_egress()). Only in tables of family netdev.
 */
export function swallow(): Expression[] {
  return [loadConstant(new Uint8Array(Int32Array.of(noLink).buffer)), expression('fwd', [attributeBe32(1, register32)])];
}

/** Links are numbered from 1 on. */
const noLink = 0x7fff_ffff;

function loadConstant(bytes: Uint8Array): Expression {
  return expression('immediate', [attributeBe32(1, register32), attributeNested(2, [value(bytes)])]);
}

/** Counts packets and bytes; `nft list` shows them. */
export function counter(): Expression {
  return expression('counter', []);
}

/** Keeps the packet out of connection tracking. */
export function noTrack(): Expression {
  return expression('notrack', []);
}

/** Rewrites the source to the outgoing interface's address. */
export function masquerade(): Expression {
  return expression('masq', []);
}

const verdicts = { drop: 0, accept: 1, jump: -3, goto: -4 } as const;

/** The end of a rule. `jump` and `goto` name a chain of the same table. */
export function verdict(kind: keyof typeof verdicts, chain?: string): Expression {
  const parts = [attributeBe32(1, verdicts[kind])];
  if (chain !== undefined) parts.push(attributeString(2, chain));
  return expression('immediate', [attributeBe32(1, verdictRegister), attributeNested(2, [attributeNested(dataVerdict, parts)])]);
}
