/** A caller's end of a socket, for tests: it sends what it is told, in pieces or not at all, and collects the frames. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { encodeRequest, FrameDecoder, type Frame, type Request } from '../protocol/protocol.ts';

/** A frame with its body as text. */
export interface TextFrame extends Omit<Frame, 'body'> {
  readonly body: string;
}

/** A connection of a test's own. */
export class TestCaller {
  readonly socket: Socket;
  readonly frames: TextFrame[] = [];
  readonly ended: Promise<void>;

  private constructor(socket: Socket) {
    const decoder = new FrameDecoder();
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.frames.push(...decoder.push(chunk).map((frame) => ({ ...frame, body: frame.body.toString() }))));
    this.ended = new Promise((resolve) => socket.once('end', resolve).once('close', () => resolve()).on('error', () => resolve()));
  }

  /** @throws Error when nobody listens */
  static async connect(path: string): Promise<TestCaller> {
    const socket = connect({ path, allowHalfOpen: true });
    await once(socket, 'connect');
    return new TestCaller(socket);
  }

  /** Connects and sends a request. */
  static async request(path: string, request: Partial<Request> = {}): Promise<TestCaller> {
    const caller = await TestCaller.connect(path);
    caller.socket.write(encodeRequest({ kind: 'question', env: {}, stdin: 'status', ...request }));
    return caller;
  }

  /** All frames, when the daemon has ended the connection. */
  async all(): Promise<readonly TextFrame[]> {
    await this.ended;
    this.socket.destroy();
    return this.frames;
  }
}
