/**
 * What flows do with a packet: the tables of a switch as they are listed, carried out without the switch. Pure.
 *
 * For the matches and actions that weft's flows have, as Open vSwitch carries them out (ofproto-dpif-xlate.c). What is beyond that ends the
 * evaluation and is said: nothing is guessed. Meters, packets for the controller and flows that are learned change nothing for this packet.
 */
import { ports, type Action, type FieldPart } from './action.ts';
import { encodeFieldValue, fieldShapes, type FieldName, type FieldValue } from './field.ts';
import type { Flow } from './flow.ts';
import { formatFlowName } from './format.ts';
import type { Instructions } from './instruction.ts';
import { isMasked, type Masked, type Match } from './match.ts';

/** The fields of a packet and of its way so far; what is absent is zero. A packet has no field whose protocol it is not of: those are zero as well. */
export type PacketFields = { readonly [F in FieldName]?: FieldValue<F> };

/** A table that was looked into. */
export interface Visit {
  readonly table: number;
  /** Undefined: none matched, and the packet is dropped. */
  readonly flow: Flow | undefined;
}

/** A copy of the packet that a flow sends out. */
export interface Copy {
  /** ports.inPort for the one it came in by. */
  readonly port: number;
  /** A field of the copy, as a number. */
  read(field: FieldName): bigint;
}

/** What became of a packet. */
export interface Evaluation {
  readonly visits: readonly Visit[];
  readonly copies: readonly Copy[];
  /** What ended the evaluation, in words; absent where it is whole. */
  readonly unknown?: string;
}

/** More than any pipeline of weft's needs; Open vSwitch itself stops at 64 resubmits in one another (MAX_DEPTH). */
const depthMax = 64;

/** Carries the flows out for a packet, from the table 0 on. */
export function evaluate(flows: readonly Flow[], packet: PacketFields): Evaluation {
  const run = new Run(flows, packet);
  try {
    run.lookUp(0, 0);
    return { visits: run.visits, copies: run.copies };
  } catch (error) {
    if (!(error instanceof Unknown)) throw error;
    return { visits: run.visits, copies: run.copies, unknown: error.message };
  }
}

class Unknown extends Error {}

/** A value as the bits that it has on the wire. */
function bitsOf(name: FieldName, value: FieldValue): bigint {
  return BigInt(`0x${Buffer.from(encodeFieldValue(name, value)).toString('hex') || '0'}`);
}

/** Whether the known fields of a match are as the packet's. */
function matches(match: Match, fields: ReadonlyMap<FieldName, bigint>): boolean {
  return (Object.entries(match) as [FieldName | 'unknown', FieldValue | Masked<FieldValue> | undefined][]).every(([name, wanted]) => {
    if (name === 'unknown' || wanted === undefined) return true;
    const value = fields.get(name) ?? 0n;
    if (!isMasked(wanted)) return value === bitsOf(name, wanted);
    const mask = bitsOf(name, wanted.mask);
    return (value & mask) === (bitsOf(name, wanted.value) & mask);
  });
}

class Run {
  readonly visits: Visit[] = [];
  readonly copies: Copy[] = [];
  readonly #byTable: ReadonlyMap<number, readonly Flow[]>;
  readonly #fields: Map<FieldName, bigint>;

  constructor(flows: readonly Flow[], packet: PacketFields) {
    this.#byTable = new Map([...Map.groupBy(flows, ({ table }) => table)].map(([table, own]) => [table, own.toSorted((one, other) => other.priority - one.priority)]));
    this.#fields = new Map((Object.entries(packet) as [FieldName, FieldValue][]).map(([name, value]) => [name, bitsOf(name, value)]));
  }

  lookUp(table: number, depth: number): void {
    if (depth > depthMax) throw new Unknown(`more than ${depthMax} tables in one another`);
    const flow = this.#byTable.get(table)?.find(({ match }) => matches(match, this.#fields));
    this.visits.push({ table, flow });
    if (flow === undefined) return;
    if ((flow.match.unknown ?? []).length > 0) throw new Unknown(`a flow matches a field that weft does not know: ${formatFlowName(flow)}`);
    this.#carryOut(flow.instructions, flow, depth);
  }

  #carryOut({ apply = [], clear, write, writeMetadata, gotoTable, unknown = [] }: Instructions, flow: Flow, depth: number): void {
    if (unknown.length > 0 || clear === true || write !== undefined) throw new Unknown(`a flow has an instruction that weft's flows do not have: ${formatFlowName(flow)}`);
    for (const action of apply) this.#act(action, flow, depth);
    if (writeMetadata !== undefined) this.#write({ field: 'metadata', offset: 0, bits: 64 }, isMasked(writeMetadata) ? (this.#read('metadata') & ~writeMetadata.mask) | (writeMetadata.value & writeMetadata.mask) : writeMetadata);
    if (gotoTable !== undefined) this.lookUp(gotoTable, depth + 1);
  }

  #act(action: Action, flow: Flow, depth: number): void {
    switch (action.kind) {
      case 'output':
        return this.#output(action.port, flow);
      case 'setField':
        return void this.#fields.set(action.field, bitsOf(action.field, action.value));
      case 'move':
        return this.#write(action.to, this.#readPart(action.from));
      case 'load':
        return this.#write(action.to, action.value);
      case 'resubmit':
        return this.#resubmit(action, depth);
      case 'learn':
        return;
      case 'group':
      case 'unknown':
        throw new Unknown(`a flow has an action that weft's flows do not have: ${formatFlowName(flow)}`);
    }
  }

  /** Never out of the port that it came in by, but by IN_PORT. */
  #output(port: number, flow: Flow): void {
    if (port === ports.controller || BigInt(port) === this.#read('inPort')) return;
    if (port > ports.inPort && port !== ports.local) throw new Unknown(`a flow sends to a port that stands for several: ${formatFlowName(flow)}`);
    const fields = new Map(this.#fields);
    this.copies.push({ port, read: (field) => fields.get(field) ?? 0n });
  }

  /** For that look-up alone it came in by another port. */
  #resubmit({ table, port }: { readonly table: number; readonly port: number }, depth: number): void {
    const inPort = this.#read('inPort');
    if (port !== ports.inPort) this.#fields.set('inPort', BigInt(port));
    this.lookUp(table, depth + 1);
    this.#fields.set('inPort', inPort);
  }

  #read(field: FieldName): bigint {
    return this.#fields.get(field) ?? 0n;
  }

  #readPart({ field, offset, bits }: FieldPart): bigint {
    return (this.#read(field) >> BigInt(offset)) & ((1n << BigInt(bits)) - 1n);
  }

  #write({ field, offset, bits }: FieldPart, value: bigint): void {
    const mask = ((1n << BigInt(bits)) - 1n) << BigInt(offset);
    const all = (1n << BigInt(fieldShapes[field].bits)) - 1n;
    this.#fields.set(field, ((this.#read(field) & ~mask) | ((value << BigInt(offset)) & mask)) & all);
  }
}
