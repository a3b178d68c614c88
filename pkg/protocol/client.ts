/** Asking a daemon: one request over its socket, and the last frame of the answer. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { WeftError } from '../errors/weft-error.ts';
import { encodeRequest, FrameDecoder, ProtocolError, type Frame, type Request } from './protocol.ts';

/** How long to wait, in milliseconds, for the whole of it. */
export interface AskOptions {
  readonly deadlineMs: number;
  /** Done when the connection stands, before the request is sent; what it throws is thrown. */
  readonly onConnect?: () => Promise<void>;
}

/** What came of asking. */
export type Reply =
  /** Nobody listens on the socket, or there is no socket. */
  | { readonly kind: 'absent' }
  /** The daemon did what was asked; status is an exit status. */
  | { readonly kind: 'answered'; readonly status: number; readonly body: string }
  /** The daemon does not do this; the reason is a number of elsewhereReasons. */
  | { readonly kind: 'elsewhere'; readonly reason: number; readonly words: string };

/**
 * Asks the daemon a question, such as `status`.
 * @throws WeftError tryAgainLater (no answer within the deadline), ioFailure (the socket cannot be used, or the answer is not
 * one of the protocol)
 */
export async function ask(socketPath: string, question: string, options: AskOptions): Promise<Reply> {
  return exchange(socketPath, { kind: 'question', env: {}, stdin: question }, options);
}

/** Sends any request and waits for the end of its answer. @throws WeftError as ask() does */
export async function exchange(socketPath: string, request: Request, { deadlineMs, onConnect }: AskOptions): Promise<Reply> {
  const bytes = encodeRequest(request);
  const deadline = AbortSignal.timeout(deadlineMs);
  try {
    const socket = connect({ path: socketPath, signal: deadline });
    return toReply(await lastFrame(socket, async () => {
      await once(socket, 'connect');
      await onConnect?.();
      socket.write(bytes);
    }));
  } catch (error) {
    if (isNobodyThere(error)) return { kind: 'absent' };
    if (deadline.aborted) throw new WeftError('tryAgainLater', `the daemon that listens on ${socketPath} did not answer within ${deadlineMs} ms`, { details: 'Look at its log; restarting it harms no container.' });
    const what = error instanceof ProtocolError ? `what listens on ${socketPath} did not answer as a daemon of this weft` : `cannot use the daemon's socket ${socketPath}`;
    throw new WeftError('ioFailure', what, { cause: error });
  }
}

async function lastFrame(socket: Socket, send: () => Promise<void>): Promise<Frame> {
  const decoder = new FrameDecoder();
  try {
    await send();
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      const last = decoder.push(chunk).at(-1);
      if (last !== undefined && decoder.isDone) return last;
    }
  } finally {
    socket.destroy();
  }
  return decoder.end();
}

function toReply({ kind, status, body }: Frame): Reply {
  const text = body.toString('utf8');
  return kind === 'elsewhere' ? { kind, reason: status, words: text } : { kind: 'answered', status, body: text };
}

/** ENOENT: no socket. ECONNREFUSED: one that a dead daemon has left. ENOTDIR: nor a run directory. */
function isNobodyThere(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ['ENOENT', 'ECONNREFUSED', 'ENOTDIR'].includes(String(error.code));
}
