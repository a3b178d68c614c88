/** What a switch says unasked: packets, changes of ports, flows that are gone; and packets sent by it (OpenFlow 1.3.5 §7.3.7, §7.4). Pure. */
import { macFromBytes, type Mac } from '../netaddr/netaddr.ts';
import { ports, type Action } from './action.ts';
import { encodeActions } from './action-codec.ts';
import { decodeMatch, type Match } from './match.ts';
import { messageTypes, multipartRequest, multipartTypes, type Message, type Request } from './message.ts';

/** A packet that a flow sent to the controller. */
export interface PacketIn {
  readonly kind: 'packetIn';
  /** Of what sent it: no flow (a table-miss flow counts as one), an action, a TTL that ended. */
  readonly reason: 'noMatch' | 'action' | 'invalidTtl';
  readonly table: number;
  /** Of the flow that sent it. */
  readonly cookie: bigint;
  /** The way of the packet so far: inPort, metadata, tunnelId, registers. */
  readonly match: Match;
  /** Bytes of the whole packet, of which `data` may be the beginning. */
  readonly length: number;
  readonly data: Buffer;
}

/** A port of the switch. */
export interface Port {
  readonly port: number;
  readonly name: string;
  readonly mac: Mac;
  /** OFPPC_PORT_DOWN: taken down by an administrator. */
  readonly isDown: boolean;
  /** OFPPS_LINK_DOWN: it has no carrier. */
  readonly hasNoCarrier: boolean;
}

/** A port came, went or changed. */
export interface PortStatus {
  readonly kind: 'portStatus';
  readonly change: 'added' | 'deleted' | 'modified';
  readonly port: Port;
}

/** A flow that asked for it (sendFlowRemoved) is gone. */
export interface FlowRemoved {
  readonly kind: 'flowRemoved';
  readonly reason: 'idleTimeout' | 'hardTimeout' | 'deleted' | 'groupDeleted';
  readonly table: number;
  readonly priority: number;
  readonly match: Match;
  readonly cookie: bigint;
  readonly packets: bigint;
  readonly bytes: bigint;
}

export type SwitchEvent = PacketIn | PortStatus | FlowRemoved;

const packetInReasons = ['noMatch', 'action', 'invalidTtl'] as const;
const portChanges = ['added', 'deleted', 'modified'] as const;
const removalReasons = ['idleTimeout', 'hardTimeout', 'deleted', 'groupDeleted'] as const;

/** The event in a message; undefined where it is none, or of a reason that weft does not know. @throws RangeError when it ends early */
export function decodeEvent({ type, body }: Pick<Message, 'type' | 'body'>): SwitchEvent | undefined {
  switch (type) {
    case messageTypes.packetIn:
      return decodePacketIn(body);
    case messageTypes.portStatus: {
      const change = portChanges[body.readUInt8(0)];
      return change === undefined ? undefined : { kind: 'portStatus', change, port: decodePort(body.subarray(8)) };
    }
    case messageTypes.flowRemoved:
      return decodeFlowRemoved(body);
    default:
      return undefined;
  }
}

/** struct ofp_packet_in. The data is a copy: it may be kept. */
function decodePacketIn(body: Buffer): PacketIn | undefined {
  const reason = packetInReasons[body.readUInt8(6)];
  if (reason === undefined) return undefined;
  const { match, end } = decodeMatch(body, 16);
  const padding = 2;
  return {
    kind: 'packetIn',
    reason,
    table: body.readUInt8(7),
    cookie: body.readBigUInt64BE(8),
    match,
    length: body.readUInt16BE(4),
    data: Buffer.from(body.subarray(end + padding)),
  };
}

/** struct ofp_flow_removed. */
function decodeFlowRemoved(body: Buffer): FlowRemoved | undefined {
  const reason = removalReasons[body.readUInt8(10)];
  if (reason === undefined) return undefined;
  return {
    kind: 'flowRemoved',
    reason,
    table: body.readUInt8(11),
    priority: body.readUInt16BE(8),
    match: decodeMatch(body, 40).match,
    cookie: body.readBigUInt64BE(0),
    packets: body.readBigUInt64BE(24),
    bytes: body.readBigUInt64BE(32),
  };
}

const portBytes = 64;

/** struct ofp_port (§7.2.1). */
function decodePort(bytes: Buffer): Port {
  if (bytes.length < portBytes) throw new RangeError(`A port must be ${portBytes} bytes long: current value is ${bytes.length}`);
  const name = bytes.subarray(16, 32);
  const end = name.indexOf(0);
  return {
    port: bytes.readUInt32BE(0),
    name: name.toString('utf8', 0, end < 0 ? name.length : end),
    mac: macFromBytes(bytes.subarray(8, 14)),
    isDown: (bytes.readUInt32BE(32) & 1) !== 0,
    hasNoCarrier: (bytes.readUInt32BE(36) & 1) !== 0,
  };
}

/** Asks for all ports: OFPMP_PORT_DESC. */
export function listPortsRequest(): Request {
  return multipartRequest(multipartTypes.portDescription, Buffer.alloc(0), () => 'list ports');
}

/** The ports in one part of the answer to listPortsRequest(). @throws RangeError when a length does not fit */
export function decodeListedPorts(part: Buffer): readonly Port[] {
  return Array.from({ length: Math.ceil(part.length / portBytes) }, (_, index) => decodePort(part.subarray(index * portBytes)));
}

/** A packet to be sent by the switch: what is done with it, and as what port's packet it counts (default: the controller's). */
export interface PacketOut {
  readonly data: Uint8Array;
  readonly actions: readonly Action[];
  readonly inPort?: number;
}

/** §7.3.7. */
export function packetOutRequest({ data, actions, inPort = ports.controller }: PacketOut): Request {
  const noBuffer = 0xffffffff;
  const encoded = encodeActions(actions);
  const head = Buffer.alloc(16);
  head.writeUInt32BE(noBuffer, 0);
  head.writeUInt32BE(inPort, 4);
  head.writeUInt16BE(encoded.length, 8);
  return { type: messageTypes.packetOut, body: Buffer.concat([head, encoded, data]), describe: () => `send a packet of ${data.length} bytes` };
}
