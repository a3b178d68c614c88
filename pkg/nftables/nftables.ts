/** Tables, chains, sets, rules and elements as nf_tables messages, and batches of them: all of a batch happens, or nothing. */
import { attribute, attributeBe32, attributeNested, attributeString, type NetlinkMessage, type NetlinkRequest, decodeAttributeList, decodeAttributes, decodeString } from '../netlink/codec.ts';
import { fnv1a32 } from '../digest/fnv.ts';
import type { Netlink } from '../netlink/netlink-socket.ts';
import type { Expression } from './expression.ts';

// include/uapi/linux/netfilter/nfnetlink.h
const batchBegin = 0x10;
const batchEnd = 0x11;
const subsystem = 10;
// include/uapi/linux/netfilter/nf_tables.h
const messages = { newTable: 0, getTable: 1, delTable: 2, newChain: 3, getChain: 4, newRule: 6, newSet: 9, newElement: 12, getElements: 13, delElement: 14, getRule: 7, delChain: 5, delRule: 8, delSet: 11 } as const;
const create = 0x400;
const exclusive = 0x200;
const append = 0x800;

/** nf_tables' families: `inet` is IPv4 and IPv6 together; `netdev` sees what single links receive and send. */
export type TableFamily = 'inet' | 'netdev' | 'bridge';
const familyNumbers: Readonly<Record<TableFamily, number>> = { inet: 1, netdev: 5, bridge: 7 };

/** A table: names are unique within a family. */
export interface TableName {
  readonly family: TableFamily;
  readonly table: string;
}

/** Key types, with the numbers nft(8) knows them by (its datatype.h) so that `nft list` can print elements. */
const keyTypes = {
  ipv4Address: { id: 7, bytes: 4, isHostOrder: false },
  ipv6Address: { id: 8, bytes: 16, isHostOrder: false },
  etherAddress: { id: 9, bytes: 6, isHostOrder: false },
  port: { id: 13, bytes: 2, isHostOrder: false },
  mark: { id: 19, bytes: 4, isHostOrder: true },
  interfaceName: { id: 41, bytes: 16, isHostOrder: true },
} as const;
export type KeyType = keyof typeof keyTypes;
/** nft(8) packs the types of a concatenation six bits each. */
const keyTypeBits = 6;

export interface ChainSettings {
  readonly name: string;
  /** Absent: reached by jump or goto only. */
  readonly hook?: ChainHook;
}

/** Where a chain sees packets; `ingress` and `egress` are the hooks of family netdev, at the link that is named. */
export type ChainHook =
  | { readonly point: 'prerouting' | 'input' | 'forward' | 'postrouting'; readonly priority: number; readonly type: 'filter' | 'nat' }
  | { readonly point: 'ingress' | 'egress'; readonly priority: number; readonly type: 'filter'; readonly link: string };

/** enum nf_inet_hooks, enum nf_dev_hooks. */
const hookNumbers = { prerouting: 0, input: 1, forward: 2, postrouting: 4, ingress: 0, egress: 1 } as const;

/** struct nfgenmsg. */
const nfgenmsgBytes = 4;

function padded(length: number): number {
  return (length + 3) & ~3;
}

/** struct nfgenmsg; the resource id is the one field in network byte order. */
function header(family: number, resource = 0): Uint8Array {
  const bytes = Buffer.alloc(nfgenmsgBytes);
  bytes.writeUInt8(family, 0);
  bytes.writeUInt16BE(resource, 2);
  return bytes;
}

function message(table: TableName, type: number, options: { flags: number; parts: readonly Uint8Array[]; what: string }): NetlinkRequest {
  return {
    type: (subsystem << 8) | type,
    flags: options.flags,
    payload: Buffer.concat([header(familyNumbers[table.family]), attributeString(1, table.table), ...options.parts]),
    what: options.what,
  };
}

/** Equivalent to: `nft create table FAMILY TABLE`: EEXIST, and so nothing of its batch, where the table is there already. */
export function createTable(table: TableName): NetlinkRequest {
  return message(table, messages.newTable, { flags: create | exclusive, parts: [], what: `create nft table ${table.family} ${table.table}` });
}

/** Equivalent to: `nft delete table FAMILY TABLE`, with everything in it. */
export function deleteTable(table: TableName): NetlinkRequest {
  return message(table, messages.delTable, { flags: 0, parts: [], what: `delete nft table ${table.family} ${table.table}` });
}

/** Asks for a table; ENOENT where it is not there. */
export function getTable(table: TableName): NetlinkRequest {
  return message(table, messages.getTable, { flags: 0, parts: [], what: `read nft table ${table.family} ${table.table}` });
}

/** Equivalent to: `nft add chain FAMILY TABLE NAME { type … hook … priority … ; policy accept; }`. */
export function addChain(table: TableName, chain: ChainSettings): NetlinkRequest {
  const parts = [attributeString(3, chain.name)];
  if (chain.hook !== undefined) {
    const { point, priority, type } = chain.hook;
    const policyAccept = 1;
    const hook = [attributeBe32(1, hookNumbers[point]), attributeBe32(2, priority), ...('link' in chain.hook ? [attributeString(3, chain.hook.link)] : [])];
    parts.push(attributeNested(4, hook), attributeBe32(5, policyAccept), attributeString(7, type));
  }
  return message(table, messages.newChain, { flags: create, parts, what: `add nft chain ${chain.name}` });
}

/** Equivalent to: `nft add set FAMILY TABLE NAME { type A . B; [flags dynamic;] }`. `id` is unique within the batch. `isDynamic`: rules may add to it. */
export function addSet(table: TableName, set: { name: string; key: readonly KeyType[]; id: number; isDynamic?: boolean }): NetlinkRequest {
  const flags = set.isDynamic === true ? flagEvaluated : 0;
  const type = set.key.reduce((packed, key) => (packed << keyTypeBits) | keyTypes[key].id, 0);
  // A part of a concatenation is padded to whole registers; a key that stands alone is not.
  const bytes = set.key.length === 1 ? keyTypes[set.key[0] as KeyType].bytes : set.key.reduce((sum, key) => sum + padded(keyTypes[key].bytes), 0);
  const parts = [attributeString(2, set.name), attributeBe32(3, flags), attributeBe32(4, type), attributeBe32(5, bytes), attributeBe32(10, set.id), attribute(13, keyOrderNote(set.key))];
  return message(table, messages.newSet, { flags: create, parts, what: `add nft set ${set.name}` });
}

/** NFT_SET_EVAL. */
const flagEvaluated = 0x20;

/** A note for nft(8), which the kernel only keeps: the byte order of a key, without which it prints interface names empty. */
function keyOrderNote(key: readonly KeyType[]): Uint8Array {
  const noteKeyByteOrder = 0;
  const order = key.every((part) => keyTypes[part].isHostOrder) ? 1 : 2;
  return Uint8Array.of(noteKeyByteOrder, 4, order, 0, 0, 0);
}

/** nft(8) skips notes of types it does not know (its own are 0 and 1). */
const noteDigest = 0x77;

/**
 * Equivalent to: `nft add rule FAMILY TABLE CHAIN …`. With the rule the kernel keeps a digest of what it was made with, which it
 * cannot say itself: it lists expressions in a form of its own. A rule that another program puts in its place has none.
 */
export function addRule(table: TableName, chain: string, expressions: readonly Expression[]): NetlinkRequest {
  const list = expressions.map((expression) => attributeNested(1, [expression]));
  const digest = Buffer.alloc(6);
  digest.set([noteDigest, 4]);
  digest.writeUInt32LE(fnv1a32(Buffer.concat(expressions)), 2);
  const parts = [attributeString(2, chain), attributeNested(4, list), attribute(7, digest)];
  return message(table, messages.newRule, { flags: create | append, parts, what: `add a rule to nft chain ${chain}` });
}

/** One element of a set: the bytes of each part of its key. */
export interface SetElement {
  readonly set: string;
  readonly key: readonly Uint8Array[];
}

/** The whole key of an element as the kernel keeps it. */
export function keyOf({ key }: SetElement): Uint8Array {
  if (key.length === 1) return key[0] as Uint8Array;
  return Buffer.concat(key.map((part) => Buffer.concat([part, new Uint8Array(padded(part.length) - part.length)])));
}

function elementMessage(table: TableName, element: SetElement, type: { number: number; flags: number; verb: string }): NetlinkRequest {
  const key = attributeNested(1, [attribute(1, keyOf(element))]);
  const parts = [attributeString(2, element.set), attributeNested(3, [attributeNested(1, [key])])];
  return message(table, type.number, { flags: type.flags, parts, what: `${type.verb} nft set ${element.set}` });
}

/** Equivalent to: `nft add element FAMILY TABLE SET { A . B }`; no error where it is there already. */
export function addElement(table: TableName, element: SetElement): NetlinkRequest {
  return elementMessage(table, element, { number: messages.newElement, flags: create, verb: 'add to' });
}

/** Equivalent to: `nft delete element FAMILY TABLE SET { A . B }`; ENOENT where it is not there. */
export function deleteElement(table: TableName, element: SetElement): NetlinkRequest {
  return elementMessage(table, element, { number: messages.delElement, flags: 0, verb: 'delete from' });
}

/** Asks for one element; ENOENT where it, its set or its table is not there. */
export function getElement(table: TableName, element: SetElement): NetlinkRequest {
  return elementMessage(table, element, { number: messages.getElements, flags: 0, verb: 'look into' });
}

/** Every element of a set. A dump. */
export function listElements(table: TableName, set: string): NetlinkRequest {
  return message(table, messages.getElements, { flags: 0, parts: [attributeString(2, set)], what: `list nft set ${set}` });
}

/** Asks for a chain; ENOENT where it or its table is not there. */
export function getChain(table: TableName, name: string): NetlinkRequest {
  return message(table, messages.getChain, { flags: 0, parts: [attributeString(3, name)], what: `read nft chain ${name}` });
}

/** Every table of the family. A dump. */
export function listTables(family: TableFamily): NetlinkRequest {
  return { type: (subsystem << 8) | messages.getTable, flags: 0, payload: header(familyNumbers[family]), what: `list the nft tables of family ${family}` };
}

/** Every rule of a table; none where the table is missing. A dump. */
export function listRules(table: TableName): NetlinkRequest {
  return message(table, messages.getRule, { flags: 0, parts: [], what: `list the rules of nft table ${table.family} ${table.table}` });
}

/** Every chain of the family, of all its tables. A dump. */
export function listChains(family: TableFamily): NetlinkRequest {
  return { type: (subsystem << 8) | messages.getChain, flags: 0, payload: header(familyNumbers[family]), what: `list the nft chains of family ${family}` };
}

/** A rule or chain that is listed or that a batch adds. */
export interface Listed {
  /** As `nft list chain` names it: family, table, chain. */
  readonly chain: string;
  /** What is compared: of a rule the note it was added with, of a chain its hook and policy. */
  readonly mark: string;
}

/** The rule a message describes; undefined for other messages. */
export function describedRule({ type, payload }: Pick<NetlinkRequest, 'type' | 'payload'>): Listed | undefined {
  if (type !== ((subsystem << 8) | messages.newRule)) return undefined;
  const attributes = decodeAttributes(Buffer.from(payload), nfgenmsgBytes);
  return { chain: `${familyName(payload)} ${decodeString(attributes.get(1))} ${decodeString(attributes.get(2))}`, mark: attributes.get(7)?.toString('hex') ?? '' };
}

/** The chain a message describes; undefined for other messages. */
export function describedChain({ type, payload }: Pick<NetlinkRequest, 'type' | 'payload'>): Listed | undefined {
  if (type !== ((subsystem << 8) | messages.newChain)) return undefined;
  const attributes = decodeAttributes(Buffer.from(payload), nfgenmsgBytes);
  const hook = attributes.get(4) === undefined ? undefined : decodeAttributes(attributes.get(4) as Buffer);
  const parts = [decodeString(attributes.get(7)), hook?.get(1)?.toString('hex'), hook?.get(2)?.toString('hex'), attributes.get(5)?.toString('hex')];
  return { chain: `${familyName(payload)} ${decodeString(attributes.get(1))} ${decodeString(attributes.get(3))}`, mark: parts.join(' ').trim() };
}

/** The name of the table a message describes; undefined for other messages. */
export function describedTable({ type, payload }: Pick<NetlinkRequest, 'type' | 'payload'>): string | undefined {
  return type === (subsystem << 8) ? decodeString(decodeAttributes(Buffer.from(payload), nfgenmsgBytes).get(1)) : undefined;
}

/** How many packets the first counter of the rule that a message describes has counted; 0 where it has none. */
export function countedPackets({ payload }: Pick<NetlinkMessage, 'payload'>): number {
  const expressions = decodeAttributes(payload, nfgenmsgBytes).get(4);
  const parts = expressions === undefined ? [] : decodeAttributeList(expressions).map(({ value }) => decodeAttributes(value));
  const data = parts.find((part) => decodeString(part.get(1)) === 'counter')?.get(2);
  return Number((data === undefined ? undefined : decodeAttributes(data).get(2))?.readBigUInt64BE() ?? 0n);
}

/** Whether a table's chains are out of force (`flags dormant`); false for other messages. */
export function isDormantTable({ type, payload }: Pick<NetlinkRequest, 'type' | 'payload'>): boolean {
  const flagDormant = 1;
  return type === (subsystem << 8) && ((decodeAttributes(Buffer.from(payload), nfgenmsgBytes).get(2)?.readUInt32BE(0) ?? 0) & flagDormant) !== 0;
}

function familyName(payload: Uint8Array): string {
  return Object.entries(familyNumbers).find(([, number]) => number === payload[0])?.[0] ?? 'unknown';
}

/** What takes something away from a table, or changes what its rules do; of elements that are added nobody is the worse. */
const harmful: ReadonlySet<number> = new Set([messages.newTable, messages.delTable, messages.newChain, messages.delChain, messages.newRule, messages.delRule, messages.delSet, messages.delElement]);

/** The name of the table that an event may have damaged; undefined where it can have damaged none that weft could have made. */
export function damagedTable({ type, payload }: Pick<NetlinkMessage, 'type' | 'payload'>): string | undefined {
  if (type >> 8 !== subsystem || !harmful.has(type & 0xff) || !Object.values(familyNumbers).some((family) => family === payload[0])) return undefined;
  return decodeString(decodeAttributes(payload, nfgenmsgBytes).get(1));
}

/**
 * Carries the messages out as one transaction. Only the last asks for an acknowledgement, which the kernel sends when it
 * has committed or refused all of them: one for each would overflow the socket in a long batch.
 * @throws NetlinkError of the first that was refused; then nothing has changed
 */
export function commitBatch(netlink: Netlink, requests: readonly NetlinkRequest[]): void {
  if (requests.length === 0) return;
  const begin: NetlinkRequest = { type: batchBegin, flags: 0, payload: header(0, subsystem), what: 'carry out an nft batch', isUnacknowledged: true };
  const end: NetlinkRequest = { type: batchEnd, flags: 0, payload: header(0, subsystem), what: 'carry out an nft batch', isUnacknowledged: true };
  const last = requests.length - 1;
  netlink.request([begin, ...requests.map((request, index) => (index === last ? request : { ...request, isUnacknowledged: true })), end]);
}
