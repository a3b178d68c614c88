/** A switch that does what a test says: a server on a unix socket that answers as it is told, or not at all. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { temporaryDirectory } from '../testing/directory.ts';
import type { TeardownScope } from '../testing/netns.ts';
import { MessageDecoder, messageTypes, openFlow13, type Message } from './message.ts';

/** What a test does with a message: answers it with none or some. */
export type Behaviour = (message: Message) => readonly Buffer[];

/** How the switch is made. */
export interface TestSwitchOptions {
  /** For whatever is not a greeting or a question for features. */
  readonly behaviour?: Behaviour;
  /** In place of the usual greeting; an empty buffer for none. */
  readonly greeting?: Buffer;
  /** Writes its answers byte by byte. */
  readonly isSlow?: boolean;
}

/** A running switch. */
export interface TestSwitch {
  readonly path: string;
  /** Every message that came, in order. */
  readonly received: readonly Message[];
  /** Sends bytes to every connection. */
  send(bytes: Buffer): void;
  /** Reads no more of what comes. */
  stopReading(): void;
  /** Reads on. */
  startReading(): void;
  /** Ends every connection. */
  hangUp(): void;
}

/** A message on the wire, of any version. */
export function wire(type: number, xid: number, body: Buffer = Buffer.alloc(0), version: number = openFlow13): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt8(version, 0);
  header.writeUInt8(type, 1);
  header.writeUInt16BE(8 + body.length, 2);
  header.writeUInt32BE(xid, 4);
  return Buffer.concat([header, body]);
}

/** A refusal of the request with this xid. */
export function refusal(xid: number, type: number, code: number): Buffer {
  const body = Buffer.alloc(4);
  body.writeUInt16BE(type, 0);
  body.writeUInt16BE(code, 2);
  return wire(messageTypes.error, xid, body);
}

/** One part of an answer of many. */
export function part(xid: number, bytes: Buffer, { hasMore }: { readonly hasMore: boolean }): Buffer {
  return wire(messageTypes.multipartReply, xid, Buffer.concat([Buffer.from([0, 1, 0, hasMore ? 1 : 0, 0, 0, 0, 0]), bytes]));
}

/** Answers barriers and echoes, and nothing else. */
export function answerBarriers({ type, xid, body }: Message): readonly Buffer[] {
  if (type === messageTypes.barrierRequest) return [wire(messageTypes.barrierReply, xid)];
  return type === messageTypes.echoRequest ? [wire(messageTypes.echoReply, xid, body)] : [];
}

/** Starts a switch that goes away with the scope. */
export async function startTestSwitch(scope: TeardownScope, { behaviour = answerBarriers, greeting = wire(messageTypes.hello, 0), isSlow = false }: TestSwitchOptions = {}): Promise<TestSwitch> {
  const path = join(temporaryDirectory(scope), 'br.mgmt');
  const received: Message[] = [];
  const sockets = new Set<Socket>();
  const answer = (message: Message): readonly Buffer[] => {
    if (message.type === messageTypes.hello) return [];
    return message.type === messageTypes.featuresRequest ? [wire(messageTypes.featuresReply, message.xid, Buffer.from('0000000000000001000000000a00000000000000ffffffff', 'hex'))] : behaviour(message);
  };
  const server = createServer((socket) => {
    const decoder = new MessageDecoder();
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    socket.setNoDelay(true);
    socket.write(greeting);
    socket.on('data', (chunk: Buffer) => {
      for (const message of decoder.push(chunk)) {
        received.push(message);
        for (const bytes of answer(message)) write(socket, bytes, isSlow);
      }
    });
  });
  server.listen(path);
  await once(server, 'listening');
  const hangUp = (): void => sockets.forEach((socket) => socket.destroy());
  scope.teardown(() => {
    hangUp();
    server.close();
  });
  return {
    path,
    received,
    send: (bytes) => sockets.forEach((socket) => socket.write(bytes)),
    stopReading: () => sockets.forEach((socket) => socket.pause()),
    startReading: () => sockets.forEach((socket) => socket.resume()),
    hangUp,
  };
}

function write(socket: Socket, bytes: Buffer, isSlow: boolean): void {
  if (!isSlow) socket.write(bytes);
  else for (const byte of bytes) setImmediate(() => socket.write(Uint8Array.of(byte)));
}
