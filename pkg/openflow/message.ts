/** Messages of OpenFlow 1.3 and the small ones among them (OpenFlow 1.3.5 §7.1, §7.3, §7.5). Pure. */

/** The version on the wire: OpenFlow 1.3. */
export const openFlow13 = 4;

/** OpenFlow 1.5, which a switch may greet with. */
const newestVersion = 6;

/** enum ofp_type. */
export const messageTypes = {
  hello: 0,
  error: 1,
  echoRequest: 2,
  echoReply: 3,
  experimenter: 4,
  featuresRequest: 5,
  featuresReply: 6,
  setConfig: 9,
  packetIn: 10,
  flowRemoved: 11,
  portStatus: 12,
  packetOut: 13,
  flowMod: 14,
  groupMod: 15,
  multipartRequest: 18,
  multipartReply: 19,
  barrierRequest: 20,
  barrierReply: 21,
} as const;

/** Version, type, length, xid. */
export const headerBytes = 8;

/** A message to be sent, before it has an xid. */
export interface Request {
  readonly type: number;
  /** What stands behind the header. */
  readonly body: Uint8Array;
  /** What the request does, for error messages: `add flow table=0,…`. Asked for only when something went wrong. */
  describe(): string;
  /** The request inside of this one, which must carry the same xid: the second half of a bundle's message. */
  readonly inner?: Request;
}

/** A message that was received. */
export interface Message {
  readonly version: number;
  readonly type: number;
  readonly xid: number;
  /** Everything behind the header. */
  readonly body: Buffer;
}

/** The header has 16 bits for the length. */
const messageBytesMax = 65_535;

/** @throws RangeError when the request is longer than a message can be: a group of some thousand buckets is */
export function requireSendable(request: Request): void {
  const length = requestBytes(request);
  if (length > messageBytesMax) throw new RangeError(`Cannot ${request.describe()}: an OpenFlow message must be at most ${messageBytesMax} bytes long: current value is ${length}`);
}

function requestBytes({ body, inner }: Request): number {
  return headerBytes + body.length + (inner === undefined ? 0 : requestBytes(inner));
}

/** The message on the wire; it must be sendable. */
export function encodeRequest(request: Request, xid: number): Buffer {
  const inner = request.inner === undefined ? Buffer.alloc(0) : encodeRequest(request.inner, xid);
  const length = headerBytes + request.body.length + inner.length;
  const bytes = Buffer.allocUnsafe(length);
  bytes.writeUInt8(openFlow13, 0);
  bytes.writeUInt8(request.type, 1);
  bytes.writeUInt16BE(length, 2);
  bytes.writeUInt32BE(xid, 4);
  bytes.set(request.body, headerBytes);
  bytes.set(inner, headerBytes + request.body.length);
  return bytes;
}

/** Splits a stream into messages. Their bodies are parts of the chunks they came in. */
export class MessageDecoder {
  #rest: Buffer = Buffer.alloc(0);

  /** The messages that are complete with these bytes. @throws RangeError when a length is none; then the stream is lost */
  push(chunk: Buffer): readonly Message[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const messages: Message[] = [];
    let at = 0;
    while (at + headerBytes <= bytes.length) {
      const length = bytes.readUInt16BE(at + 2);
      // What is no OpenFlow at all is seen at once, and not waited for to the end of a length that is none.
      const version = bytes.readUInt8(at);
      if (version === 0 || version > newestVersion) throw new RangeError(`An OpenFlow message must be of a version up to ${newestVersion}: current value is ${version}`);
      if (length < headerBytes) throw new RangeError(`An OpenFlow message must be at least ${headerBytes} bytes long: current value is ${length}`);
      if (at + length > bytes.length) break;
      messages.push({ version, type: bytes.readUInt8(at + 1), xid: bytes.readUInt32BE(at + 4), body: bytes.subarray(at + headerBytes, at + length) });
      at += length;
    }
    this.#rest = bytes.subarray(at);
    return messages;
  }
}

/** §7.5.1, with the bitmap of versions: 1.3 and no other. */
export function hello(): Request {
  const versionBitmap = Buffer.from([0, 1, 0, 8, 0, 0, 0, 1 << openFlow13]);
  return { type: messageTypes.hello, body: versionBitmap, describe: () => 'greet the switch' };
}

/** Whether a switch that greets so speaks OpenFlow 1.3: by the bitmap, or where there is none by the highest version (§6.3.1). */
export function speaksOpenFlow13({ version, body }: Message): boolean {
  for (let at = 0; at + 8 <= body.length; at += (body.readUInt16BE(at + 2) + 7) & ~7) {
    if (body.readUInt16BE(at) === 1) return (body.readUInt32BE(at + 4) & (1 << openFlow13)) !== 0;
    if (body.readUInt16BE(at + 2) < 4) break;
  }
  return version >= openFlow13;
}

/** §7.5.3: asks for the same bytes. */
export function echoRequest(bytes: Uint8Array = Buffer.alloc(0)): Request {
  return { type: messageTypes.echoRequest, body: bytes, describe: () => 'ask the switch for an echo' };
}

/** §7.3.8: answered when everything that was sent before has been done. */
export function barrierRequest(): Request {
  return { type: messageTypes.barrierRequest, body: Buffer.alloc(0), describe: () => 'wait for the switch to finish' };
}

/**
 * §7.3.2. On its management socket Open vSwitch sends events (packet-ins, changes of ports, removed flows) only to who has asked
 * for some bytes of unmatched packets.
 */
export function setConfig({ missSendBytes }: { readonly missSendBytes: number }): Request {
  const body = Buffer.alloc(4);
  body.writeUInt16BE(missSendBytes, 2);
  return { type: messageTypes.setConfig, body, describe: () => 'ask the switch for its events' };
}

/** What a switch says of itself. */
export interface SwitchFeatures {
  /** Of a bridge of Open vSwitch: its MAC, below 16 bits of zeros. */
  readonly datapathId: bigint;
  /** Tables, numbered from 0. */
  readonly tables: number;
}

/** §7.3.1. */
export function featuresRequest(): Request {
  return { type: messageTypes.featuresRequest, body: Buffer.alloc(0), describe: () => 'read what the switch can do' };
}

/** The answer to featuresRequest(). @throws RangeError when it ends early */
export function decodeFeatures(body: Buffer): SwitchFeatures {
  return { datapathId: body.readBigUInt64BE(0), tables: body.readUInt8(12) };
}

/** §7.3.5: enum ofp_multipart_type. */
export const multipartTypes = { flow: 1, groupDescription: 7, portDescription: 13 } as const;

/** §7.3.5: a question whose answer may take many messages. */
export function multipartRequest(type: number, body: Uint8Array, describe: () => string): Request {
  const bytes = Buffer.alloc(8 + body.length);
  bytes.writeUInt16BE(type, 0);
  bytes.set(body, 8);
  return { type: messageTypes.multipartRequest, body: bytes, describe };
}

/** Whether another message of the same answer follows: OFPMPF_REPLY_MORE. @throws RangeError when the message ends early */
export function hasMoreParts(body: Buffer): boolean {
  return (body.readUInt16BE(2) & 1) !== 0;
}

/** The part of an answer, behind its header. */
export function partOfAnswer(body: Buffer): Buffer {
  return body.subarray(8);
}
