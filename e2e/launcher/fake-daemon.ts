/** The daemon's side of the socket's protocol, version 1 (cmd/launcher/wire.h), as a script of the test's own. */
import { chmodSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TeardownScope } from '../../pkg/testing/netns.ts';

const headerBytes = 16;
export const accepted = 0x81;
export const answered = 0x82;
export const elsewhere = 0x83;

/** A request as it came over the wire. */
export interface ReceivedRequest {
  readonly magic: string;
  readonly version: number;
  readonly kind: number;
  /** KEY=VALUE, in the order of the block. */
  readonly environment: readonly string[];
  readonly stdin: Buffer;
}

/** One connection. */
export interface Conversation {
  /** From 0. */
  readonly number: number;
  readonly socket: Socket;
  /** Reads the request to its end. @throws Error when the connection ends before */
  readonly request: () => Promise<ReceivedRequest>;
}

/** What the daemon does with a connection. The connection is closed when it is done. */
export type Behaviour = (conversation: Conversation) => Promise<void> | void;

export interface FakeDaemon {
  readonly server: Server;
  /** Requests that were read to their end. */
  readonly requests: readonly ReceivedRequest[];
  /** How many connections there have been. */
  readonly connections: () => number;
}

/** A daemon that listens until the scope ends. */
export async function startFakeDaemon(scope: TeardownScope, runDirectory: string, behave: Behaviour): Promise<FakeDaemon> {
  const requests: ReceivedRequest[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    sockets.add(socket);
    // A launcher that gives up breaks the connection; what the test expects of it, it looks at itself.
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    const request = async (): Promise<ReceivedRequest> => {
      const received = await readRequest(socket);
      requests.push(received);
      return received;
    };
    const number = connections++;
    void Promise.resolve(behave({ number, socket, request })).catch(() => undefined).finally(() => socket.end());
  });
  scope.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const path = join(runDirectory, 'weft.sock');
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
  chmodSync(path, 0o600);
  return { server, requests, connections: () => connections };
}

/** One frame of an answer. */
export function frame(kind: number, { status = 0, body = '', magic = 'WEFT', version = 1, bodyBytes }: FrameOptions = {}): Buffer {
  const bytes = Buffer.from(body);
  const header = Buffer.alloc(headerBytes);
  header.write(magic);
  header.writeUInt16LE(version, 4);
  header.writeUInt16LE(kind, 6);
  header.writeUInt32LE(status, 8);
  header.writeUInt32LE(bodyBytes ?? bytes.length, 12);
  return Buffer.concat([header, bytes]);
}

export interface FrameOptions {
  readonly status?: number;
  readonly body?: string | Buffer;
  readonly magic?: string;
  readonly version?: number;
  /** What the header says of the body's length. @default the truth */
  readonly bodyBytes?: number;
}

/** Accepts the call and answers it. */
export function answering(status: number, body: string | Buffer): Behaviour {
  return sending(frame(accepted), frame(answered, { status, body }));
}

/** Reads the request and sends this, in one write for each. */
export function sending(...chunks: readonly Buffer[]): Behaviour {
  return async ({ request, socket }) => {
    await request();
    for (const chunk of chunks) await new Promise<void>((resolve) => socket.write(chunk, () => resolve()));
  };
}

/** Reads the request, sends this, and never says another word, nor ends. */
export function sendingAndHanging(...chunks: readonly Buffer[]): Behaviour {
  return async (conversation) => {
    await sending(...chunks)(conversation);
    await ended(conversation.socket);
  };
}

/** When the other side has gone. */
export async function ended(socket: Socket): Promise<void> {
  if (!socket.destroyed) await new Promise<void>((resolve) => socket.once('close', () => resolve()));
}

async function readRequest(socket: Socket): Promise<ReceivedRequest> {
  const chunks: Buffer[] = [];
  let length = 0;
  return new Promise((resolve, reject) => {
    socket.once('close', () => reject(new Error(`the connection ended after ${length} bytes of a request`)));
    socket.on('data', (chunk) => {
      chunks.push(chunk as Buffer);
      length += chunk.length;
      if (length < headerBytes) return;
      const bytes = Buffer.concat(chunks);
      if (bytes.length >= headerBytes + bytes.readUInt32LE(8) + bytes.readUInt32LE(12)) resolve(decodeRequest(bytes));
    });
  });
}

function decodeRequest(bytes: Buffer): ReceivedRequest {
  const environmentEnd = headerBytes + bytes.readUInt32LE(8);
  const block = bytes.toString('utf8', headerBytes, environmentEnd);
  if (!block.endsWith('\0')) throw new Error('the environment block must end with a NUL');
  return {
    magic: bytes.toString('latin1', 0, 4),
    version: bytes.readUInt16LE(4),
    kind: bytes.readUInt16LE(6),
    environment: block.slice(0, -1).split('\0'),
    stdin: bytes.subarray(environmentEnd),
  };
}
