/** What a flow does with a packet (OpenFlow 1.3.5 §7.2.5, nicira-ext.h): the actions as values, and how they are made. Pure. */
import { fieldShapes, type FieldName, type FieldValue } from './field.ts';
import type { LearnAction } from './learn.ts';

/** Ports that are no interfaces: enum ofp_port_no (OpenFlow 1.3.5 §7.2.1). */
export const ports = { inPort: 0xfffffff8, table: 0xfffffff9, normal: 0xfffffffa, flood: 0xfffffffb, all: 0xfffffffc, controller: 0xfffffffd, local: 0xfffffffe, any: 0xffffffff } as const;

/** So much of a packet for the controller that nothing is kept back in the switch: OFPCML_NO_BUFFER. */
export const wholePacket = 0xffff;

/** Some bits of a field, counted from the least significant. */
export interface FieldPart {
  readonly field: FieldName;
  readonly offset: number;
  readonly bits: number;
}

/** One action. */
export type Action =
  /** `maxBytes` is what the controller is sent of the packet, for other ports 0. */
  | { readonly kind: 'output'; readonly port: number; readonly maxBytes: number }
  | { readonly kind: 'group'; readonly group: number }
  | { readonly kind: 'setField'; readonly field: FieldName; readonly value: FieldValue }
  | { readonly kind: 'move'; readonly from: FieldPart; readonly to: FieldPart }
  | { readonly kind: 'load'; readonly to: FieldPart; readonly value: bigint }
  | { readonly kind: 'resubmit'; readonly table: number; readonly port: number }
  | LearnAction
  /** Decoded, not to be made up: an action weft does not know, as hexadecimal digits. */
  | { readonly kind: 'unknown'; readonly bytes: string };

/** Sends the packet out of a port, but never out of the one it came in by; for that there is ports.inPort. */
export function output(port: number): Action {
  return { kind: 'output', port, maxBytes: 0 };
}

/** Sends the packet to the controllers, as a packet-in of reason `action`. */
export function toController({ maxBytes = wholePacket }: { readonly maxBytes?: number } = {}): Action {
  return { kind: 'output', port: ports.controller, maxBytes };
}

/** Gives the packet to a group. */
export function toGroup(group: number): Action {
  return { kind: 'group', group };
}

/** Sets a whole field. The flow's match must say that the packet has it. */
export function setField<F extends FieldName>(field: F, value: FieldValue<F>): Action {
  return { kind: 'setField', field, value };
}

/** Copies one field, or some bits of it, into another as wide (NXAST_REG_MOVE). */
export function move(from: FieldName | FieldPart, to: FieldName | FieldPart): Action {
  return { kind: 'move', from: partOf(from), to: partOf(to) };
}

/** Sets some bits of a field (NXAST_REG_LOAD). At most 64. */
export function load(value: bigint, to: FieldName | FieldPart): Action {
  return { kind: 'load', to: partOf(to), value };
}

/** Looks the packet up in another table and comes back (NXAST_RESUBMIT_TABLE). `port` is what that lookup takes for in_port; default: as it is. */
export function resubmit(table: number, { port = ports.inPort }: { readonly port?: number } = {}): Action {
  return { kind: 'resubmit', table, port };
}

/** A field as all of its bits. */
export function partOf(field: FieldName | FieldPart): FieldPart {
  return typeof field === 'string' ? { field, offset: 0, bits: fieldShapes[field].bits } : field;
}
