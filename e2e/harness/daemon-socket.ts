/**
 * The caller's side of the daemon's socket, protocol version 1, written for the tests: it also sends what no launcher would.
 * Where a socket is does not depend on the network namespace, so that tests connect from their own.
 */
import { statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { netnsPath } from '../../pkg/testing/netns.ts';

export const requestKinds = { call: 1, question: 2, retire: 3, command: 4 } as const;
export const frameKinds = { accepted: 0x81, answered: 0x82, elsewhere: 0x83 } as const;
export const headerBytes = 16;

/** A daemon that says nothing fails its test instead of stopping the run. */
const deadlineMs = 30_000;

/** A request to encode; the header says the truth unless told otherwise. */
export interface RawRequest {
  /** A number of requestKinds, or none of them. */
  readonly kind: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string | Buffer;
  /** @default 'WEFT' */
  readonly magic?: string;
  /** @default 1 */
  readonly version?: number;
  /** What the header says of the environment's length, in bytes. @default the truth */
  readonly envBytes?: number;
  /** What the header says of stdin's length, in bytes. @default the truth */
  readonly stdinBytes?: number;
}

/** A frame of an answer. */
export interface RawFrame {
  readonly kind: number;
  readonly status: number;
  readonly body: string;
}

/** A request's bytes. */
export function encodeRawRequest({ kind, env = {}, stdin = '', magic = 'WEFT', version = 1, envBytes, stdinBytes }: RawRequest): Buffer {
  const block = Buffer.from(Object.entries(env).map(([key, value]) => `${key}=${value}\0`).join(''));
  const input = Buffer.from(stdin as string);
  const header = Buffer.alloc(headerBytes);
  header.write(magic, 'latin1');
  header.writeUInt16LE(version, 4);
  header.writeUInt16LE(kind, 6);
  header.writeUInt32LE(envBytes ?? block.length, 8);
  header.writeUInt32LE(stdinBytes ?? input.length, 12);
  return Buffer.concat([header, block, input]);
}

/** What a launcher in the node's namespace says of itself and of the container's, by the names of the namespaces. */
export function namespaceVariables({ node, container }: { readonly node: string; readonly container?: string | undefined }): Readonly<Record<string, string>> {
  return { WEFT_CALLER_NETNS: namespaceId(node), ...(container === undefined ? {} : { WEFT_TARGET_NETNS: namespaceId(container) }) };
}

function namespaceId(netns: string): string {
  const { dev, ino } = statSync(netnsPath(netns), { bigint: true });
  return `${dev}:${ino}`;
}

/** One connection to a daemon, from a caller that may behave in any way. */
export class DaemonConnection {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  #isEnded = false;
  #wake: () => void = () => undefined;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    const end = (): void => {
      this.#isEnded = true;
      this.#wake();
    };
    // A reset is an end too: tests look at what came before it.
    socket.on('error', end).on('end', end).on('close', end);
  }

  /** @throws Error when nobody listens */
  static async open(path: string): Promise<DaemonConnection> {
    const socket = connect({ path, allowHalfOpen: true });
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new DaemonConnection(socket);
  }

  send(bytes: Buffer): void {
    if (!this.#isEnded) this.socket.write(bytes);
  }

  /** The next frame; undefined when the daemon has closed the connection. @throws Error when it is late or sends half a frame */
  async frame(): Promise<RawFrame | undefined> {
    const signal = AbortSignal.timeout(deadlineMs);
    for (;;) {
      const frame = this.#takeFrame();
      if (frame !== undefined) return frame;
      if (this.#isEnded && this.#received.length > 0) throw new Error(`the daemon ended in the middle of a frame, after ${this.#received.length} bytes`);
      if (this.#isEnded) return undefined;
      await this.#change(signal);
    }
  }

  /** All frames up to the end of the connection. @throws Error as frame() does */
  async frames(): Promise<readonly RawFrame[]> {
    const frames: RawFrame[] = [];
    for (let frame = await this.frame(); frame !== undefined; frame = await this.frame()) frames.push(frame);
    this.close();
    return frames;
  }

  close(): void {
    this.socket.destroy();
  }

  #takeFrame(): RawFrame | undefined {
    if (this.#received.length < headerBytes) return undefined;
    const end = headerBytes + this.#received.readUInt32LE(12);
    if (this.#received.length < end) return undefined;
    const frame = { kind: this.#received.readUInt16LE(6), status: this.#received.readUInt32LE(8), body: this.#received.toString('utf8', headerBytes, end) };
    this.#received = this.#received.subarray(end);
    return frame;
  }

  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = (): void => reject(new Error(`the daemon neither answered nor closed the connection within ${deadlineMs} ms`));
      if (signal.aborted) return late();
      signal.addEventListener('abort', late, { once: true });
      this.#wake = () => {
        signal.removeEventListener('abort', late);
        resolve();
      };
    });
  }
}

/** Sends one request and returns all frames of the answer. @throws Error when nobody listens, or the answer is late */
export async function exchangeRaw(path: string, request: RawRequest): Promise<readonly RawFrame[]> {
  const connection = await DaemonConnection.open(path);
  connection.send(encodeRawRequest(request));
  return connection.frames();
}
