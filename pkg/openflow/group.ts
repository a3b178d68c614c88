/** Groups: lists of actions that many flows point at (OpenFlow 1.3.5 §7.3.4.2, §7.3.5.10). Pure. */
import { ports, type Action } from './action.ts';
import { decodeActions, encodeActions } from './action-codec.ts';
import { messageTypes, multipartRequest, multipartTypes, type Request } from './message.ts';

/** `all` gives a copy of the packet to every bucket, `indirect` has one, `select` takes one by a hash, `fastFailover` the first that lives. */
const types = { all: 0, select: 1, indirect: 2, fastFailover: 3 } as const;
export type GroupType = keyof typeof types;

/** What is done with a packet, or with its copy. */
export interface Bucket {
  readonly actions: readonly Action[];
  /** Of groups of type `select` only. */
  readonly weight?: number;
  /** Of groups of type `fastFailover`: the bucket lives while this port does. */
  readonly watchPort?: number;
}

/** A group. */
export interface Group {
  readonly id: number;
  readonly type: GroupType;
  readonly buckets: readonly Bucket[];
}

/** A change of the groups. */
export type GroupMod =
  /** Refused where there is one of that id. */
  | { readonly kind: 'addGroup'; readonly group: Group }
  /** Refused where there is none. */
  | { readonly kind: 'modifyGroup'; readonly group: Group }
  /** Adds or modifies: an extension of Open vSwitch (OFPGC11_ADD_OR_MOD of its openflow-1.1.h). */
  | { readonly kind: 'writeGroup'; readonly group: Group }
  /** No error where there is none. The flows that point at it go with it. `allGroups` for every one. */
  | { readonly kind: 'deleteGroup'; readonly id: number };

/** enum ofp_group: stands for every group in a deletion. */
export const allGroups = 0xfffffffc;
const anyGroup = 0xffffffff;
const commands = { addGroup: 0, modifyGroup: 1, deleteGroup: 2, writeGroup: 0x8000 } as const;
const verbs = { addGroup: 'add', modifyGroup: 'modify', writeGroup: 'write', deleteGroup: 'delete' } as const;

/** The message that carries out a change. @throws RangeError when a value does not fit */
export function groupModRequest(mod: GroupMod): Request {
  const { id, type, buckets } = mod.kind === 'deleteGroup' ? { id: mod.id, type: 'all' as const, buckets: [] } : mod.group;
  const head = Buffer.alloc(8);
  head.writeUInt16BE(commands[mod.kind], 0);
  head.writeUInt8(types[type], 2);
  head.writeUInt32BE(id, 4);
  return { type: messageTypes.groupMod, body: Buffer.concat([head, ...buckets.map(encodeBucket)]), describe: () => `${verbs[mod.kind]} group ${id}` };
}

/** A group as text: equal where nothing needs to be changed. @throws RangeError when a value does not fit */
export function groupContent({ type, buckets }: Group): string {
  return `${type},${Buffer.concat(buckets.map(encodeBucket)).toString('hex')}`;
}

/** struct ofp_bucket. */
function encodeBucket({ actions, weight = 0, watchPort = ports.any }: Bucket): Buffer {
  const head = Buffer.alloc(16);
  const encoded = encodeActions(actions);
  head.writeUInt16BE(head.length + encoded.length, 0);
  head.writeUInt16BE(weight, 2);
  head.writeUInt32BE(watchPort, 4);
  head.writeUInt32BE(anyGroup, 8);
  return Buffer.concat([head, encoded]);
}

/** Asks for all groups: OFPMP_GROUP_DESC. */
export function listGroupsRequest(): Request {
  return multipartRequest(multipartTypes.groupDescription, Buffer.alloc(0), () => 'list groups');
}

/** The groups in one part of the answer to listGroupsRequest(). @throws RangeError when a length does not fit */
export function decodeListedGroups(part: Buffer): readonly Group[] {
  return split(part, { least: 8, what: 'group' }).map((bytes) => ({
    id: bytes.readUInt32BE(4),
    type: typeName(bytes.readUInt8(2)),
    buckets: split(bytes.subarray(8), { least: 16, what: 'bucket' }).map(decodeBucket),
  }));
}

function decodeBucket(bytes: Buffer): Bucket {
  const [weight, watchPort] = [bytes.readUInt16BE(2), bytes.readUInt32BE(4)];
  return { actions: decodeActions(bytes.subarray(16)), ...(weight === 0 ? {} : { weight }), ...(watchPort === ports.any ? {} : { watchPort }) };
}

function typeName(number: number): GroupType {
  const name = (Object.keys(types) as GroupType[]).find((type) => types[type] === number);
  if (name === undefined) throw new RangeError(`A group's type must be at most 3: current value is ${number}`);
  return name;
}

/** Cuts bytes into pieces that each begin with their length in 16 bits. */
function split(bytes: Buffer, { least, what }: { least: number; what: string }): readonly Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt16BE(at);
    if (length < least || at + length > bytes.length) throw new RangeError(`A ${what} must fit its message: current length is ${length}`);
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}
