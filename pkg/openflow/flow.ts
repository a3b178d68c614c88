/** Flows, how they are changed and how they are listed (OpenFlow 1.3.5 §7.3.4.1, §7.3.5.2). Pure. */
import { formatFilter, formatFlow, formatFlowName } from './format.ts';
import { ports } from './action.ts';
import { decodeInstructions, encodeInstructions, type Instructions } from './instruction.ts';
import { decodeMatch, encodeMatch, type Match } from './match.ts';
import { messageTypes, multipartRequest, multipartTypes, type Request } from './message.ts';

/** What the switch does beside forwarding: enum ofp_flow_mod_flags, as far as they stay with the flow. */
const flagBits = { sendFlowRemoved: 1, noPacketCounts: 8, noByteCounts: 16 } as const;
export type FlowFlag = keyof typeof flagBits;

/** A flow. Its table, priority and match are its name: there is one of them at most. */
export interface Flow {
  readonly table: number;
  /** 0 to 65535; of the flows that match, the highest is taken. */
  readonly priority: number;
  readonly match: Match;
  readonly instructions: Instructions;
  /** 64 bits of whoever made it. Default: 0. */
  readonly cookie?: bigint;
  /** Removed when nothing has matched for so long. Default: 0, never. */
  readonly idleTimeoutSeconds?: number;
  /** Removed after so long. Default: 0, never. */
  readonly hardTimeoutSeconds?: number;
  readonly flags?: readonly FlowFlag[];
}

/** The name of a flow. */
export type FlowName = Pick<Flow, 'table' | 'priority' | 'match'>;

/** A flow as the switch lists it. */
export interface ListedFlow extends Flow {
  readonly cookie: bigint;
  /** Seconds since it was added. */
  readonly ageSeconds: number;
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** Flows to be listed or deleted: those of which all of it is true. Nothing of it: every flow. */
export interface FlowFilter {
  readonly table?: number;
  /** Flows that match this or a part of it. */
  readonly match?: Match;
  readonly cookie?: bigint;
  /** The bits of the cookie that are compared. Default, with a cookie: all. */
  readonly cookieMask?: bigint;
  /** Flows that output to this port. */
  readonly outPort?: number;
  /** Flows that output to this group. */
  readonly outGroup?: number;
}

/** A change of the flow tables. */
export type FlowMod =
  /** Adds a flow; one of the same name is replaced, its counters and age are kept. */
  | { readonly kind: 'add'; readonly flow: Flow }
  /** Gives the flows that match the flow's match or a part of it, of any priority, its instructions. Their cookies stay. */
  | { readonly kind: 'modify'; readonly flow: Flow }
  /** Gives the flow of this name the instructions, where there is one. Its cookie stays. */
  | { readonly kind: 'modifyStrict'; readonly flow: Flow }
  | { readonly kind: 'delete'; readonly filter: FlowFilter }
  /** Deletes the flow of this name, where there is one; with a cookie, only where it has that one. */
  | { readonly kind: 'deleteStrict'; readonly flow: FlowName & { readonly cookie?: bigint } };

/** enum ofp_flow_mod_command. */
const commands = { add: 0, modify: 1, modifyStrict: 2, delete: 3, deleteStrict: 4 } as const;
const allTables = 0xff;
const anyGroup = 0xffffffff;
const noBuffer = 0xffffffff;
const allBits = (1n << 64n) - 1n;

/** The name of a flow as text: equal for flows of the same name, wherever they come from. @throws RangeError when a value does not fit its field */
export function flowKey({ table, priority, match }: FlowName): string {
  return `${table},${priority},${encodeMatch(match).toString('hex')}`;
}

/** Everything of a flow but its name, as text: equal where nothing needs to be changed. @throws RangeError when a value does not fit */
export function flowContent({ instructions, cookie = 0n, idleTimeoutSeconds = 0, hardTimeoutSeconds = 0, flags = [] }: Flow): string {
  return `${cookie.toString(16)},${idleTimeoutSeconds},${hardTimeoutSeconds},${encodeFlags(flags)},${encodeInstructions(instructions).toString('hex')}`;
}

/** The message that carries out a change. @throws RangeError when a value does not fit */
export function flowModRequest(mod: FlowMod): Request {
  const body = mod.kind === 'delete' ? encodeDelete(mod.filter) : mod.kind === 'deleteStrict' ? encodeDeleteStrict(mod.flow) : encodeWrite(mod.kind, mod.flow);
  return { type: messageTypes.flowMod, body, describe: () => describeFlowMod(mod) };
}

function describeFlowMod(mod: FlowMod): string {
  switch (mod.kind) {
    case 'add':
      return `add flow ${formatFlow(mod.flow)}`;
    case 'modify':
    case 'modifyStrict':
      return `modify flow ${formatFlow(mod.flow)}`;
    case 'delete':
      return `delete flows ${formatFilter(mod.filter)}`;
    case 'deleteStrict':
      return `delete flow ${formatFlowName(mod.flow)}`;
  }
}

function encodeWrite(kind: 'add' | 'modify' | 'modifyStrict', flow: Flow): Buffer {
  const { table, priority, cookie = 0n, idleTimeoutSeconds = 0, hardTimeoutSeconds = 0, flags = [] } = flow;
  const head = encodeHead({ kind, table, priority, cookie });
  head.writeUInt16BE(idleTimeoutSeconds, 18);
  head.writeUInt16BE(hardTimeoutSeconds, 20);
  head.writeUInt16BE(encodeFlags(flags), 36);
  return Buffer.concat([head, encodeMatch(flow.match), encodeInstructions(flow.instructions)]);
}

function encodeDelete({ table = allTables, match = {}, ...filter }: FlowFilter): Buffer {
  const head = encodeHead({ kind: 'delete', table, ...filter, cookieMask: maskOf(filter) });
  return Buffer.concat([head, encodeMatch(match)]);
}

function encodeDeleteStrict({ table, priority, match, cookie }: FlowName & { readonly cookie?: bigint }): Buffer {
  const head = encodeHead({ kind: 'deleteStrict', table, priority, cookie, cookieMask: maskOf({ cookie }) });
  return Buffer.concat([head, encodeMatch(match)]);
}

/** Without a cookie none of its bits is compared. */
function maskOf({ cookie, cookieMask = allBits }: { readonly cookie?: bigint | undefined; readonly cookieMask?: bigint }): bigint {
  return cookie === undefined ? 0n : cookieMask;
}

interface FlowModHead {
  readonly kind: keyof typeof commands;
  readonly table: number;
  readonly priority?: number;
  readonly cookie?: bigint | undefined;
  readonly cookieMask?: bigint;
  readonly outPort?: number;
  readonly outGroup?: number;
}

/** struct ofp_flow_mod up to the match. */
function encodeHead({ kind, table, priority = 0, cookie = 0n, cookieMask = 0n, outPort = ports.any, outGroup = anyGroup }: FlowModHead): Buffer {
  const bytes = Buffer.alloc(40);
  bytes.writeBigUInt64BE(cookie, 0);
  bytes.writeBigUInt64BE(cookieMask, 8);
  bytes.writeUInt8(table, 16);
  bytes.writeUInt8(commands[kind], 17);
  bytes.writeUInt16BE(priority, 22);
  bytes.writeUInt32BE(noBuffer, 24);
  bytes.writeUInt32BE(outPort, 28);
  bytes.writeUInt32BE(outGroup, 32);
  return bytes;
}

function encodeFlags(flags: readonly FlowFlag[]): number {
  return flags.reduce((bits, flag) => bits | flagBits[flag], 0);
}

function decodeFlags(bits: number): readonly FlowFlag[] {
  return (Object.keys(flagBits) as FlowFlag[]).filter((flag) => (bits & flagBits[flag]) !== 0);
}

/** Asks for flows: OFPMP_FLOW. */
export function listFlowsRequest(filter: FlowFilter): Request {
  const { table = allTables, match = {}, cookie = 0n, outPort = ports.any, outGroup = anyGroup } = filter;
  const head = Buffer.alloc(32);
  head.writeUInt8(table, 0);
  head.writeUInt32BE(outPort, 4);
  head.writeUInt32BE(outGroup, 8);
  head.writeBigUInt64BE(cookie, 16);
  head.writeBigUInt64BE(maskOf(filter), 24);
  return multipartRequest(multipartTypes.flow, Buffer.concat([head, encodeMatch(match)]), () => `list flows ${formatFilter(filter)}`);
}

/** The flows in one part of the answer to listFlowsRequest(). @throws RangeError when a length does not fit */
export function decodeListedFlows(part: Buffer): readonly ListedFlow[] {
  const flows: ListedFlow[] = [];
  for (let at = 0; at < part.length; ) {
    const length = part.readUInt16BE(at);
    if (length < 56 || at + length > part.length) throw new RangeError(`A listed flow must fit its message: current length is ${length}`);
    flows.push(decodeListedFlow(part.subarray(at, at + length)));
    at += length;
  }
  return flows;
}

/** struct ofp_flow_stats. */
function decodeListedFlow(bytes: Buffer): ListedFlow {
  const { match, end } = decodeMatch(bytes, 48);
  return {
    table: bytes.readUInt8(2),
    priority: bytes.readUInt16BE(12),
    match,
    instructions: decodeInstructions(bytes.subarray(end)),
    cookie: bytes.readBigUInt64BE(24),
    idleTimeoutSeconds: bytes.readUInt16BE(14),
    hardTimeoutSeconds: bytes.readUInt16BE(16),
    flags: decodeFlags(bytes.readUInt16BE(18)),
    ageSeconds: bytes.readUInt32BE(4) + bytes.readUInt32BE(8) / 1e9,
    packets: bytes.readBigUInt64BE(32),
    bytes: bytes.readBigUInt64BE(40),
  };
}
