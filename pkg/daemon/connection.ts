/** One connection: one request, and its answer. */
import type { Socket } from 'node:net';
import { describeError } from '../errors/weft-error.ts';
import { elsewhereReasons, encodeFrame, ProtocolError, RequestDecoder, requestDeadlineMs, type ElsewhereReason, type Request } from '../protocol/protocol.ts';
import { hasHungUp, readPeerCredentials, type PeerCredentials } from '../sys/peer.ts';
import { startTimer } from '../sys/timer.ts';

/** Why a caller is sent elsewhere. */
export interface Refusal {
  readonly reason: ElsewhereReason;
  readonly words: string;
}

/** What becomes of a request. */
export interface Answer {
  /** Exit status of the caller's process. */
  readonly status: number;
  readonly body: string;
}

/** What a server does with a request. */
export interface RequestHandler {
  /** Why the request is not for this daemon; undefined where it is. Nothing has begun by then. */
  refuse(request: Request): Refusal | undefined;
  /** Does what of a request cannot wait for the rest of its way: called as soon as the request is there, by a caller who still waits. It never throws. */
  hasten(request: Request): void;
  /**
   * Carries it out; never rejects.
   * @param isWanted whether somebody still waits for the answer
   */
  answer(request: Request, isWanted: () => boolean): Promise<Answer>;
}

/** How long a caller may take to fetch its answer. */
const fetchDeadlineMs = 5000;

/** After how long a caller hears that its call was accepted, where the answer has not come first. The launcher waits 5 s for it (ACCEPTANCE_MS). */
const announceAfterMs = 50;

/** Whom the daemon serves: root, and the user it runs as. */
function isTrusted({ uid }: PeerCredentials): boolean {
  return uid === 0 || uid === process.geteuid?.();
}

/** Serves the connection to its end. The promise is fulfilled when it is over, and never rejects. */
export async function serveConnection(socket: Socket, handler: RequestHandler): Promise<void> {
  // A reset is no news: whoever writes afterwards sees that the socket is destroyed.
  socket.on('error', () => undefined);
  const fd = descriptorOf(socket);
  if (fd === undefined || !isTrusted(readPeerCredentials(fd))) {
    return sendAway(socket, { reason: 'notPermitted', words: 'the daemon serves root only' });
  }
  const request = await readRequest(socket, (complete) => hasHungUp(fd) || handler.hasten(complete));
  if (request === undefined) return undefined;
  const refusal = 'reason' in request ? request : handler.refuse(request);
  if (refusal !== undefined) return sendAway(socket, refusal);
  await carryOut(socket, request as Request, { fd, handler });
}

async function carryOut(socket: Socket, request: Request, { fd, handler }: { fd: number; handler: RequestHandler }): Promise<void> {
  const isWanted = (): boolean => !socket.destroyed && !hasHungUp(fd);
  // A daemon that was stopped for a while finds requests whose callers have gone elsewhere long since.
  if (!isWanted()) return void socket.destroy();
  accept(socket);
  const answer = await handler.answer(request, isWanted);
  if (!isWanted()) return void socket.destroy();
  finish(socket, encodeFrame({ kind: 'answered', status: answer.status, body: answer.body }));
}

/**
 * Most calls are done within a few milliseconds: then acceptance and answer leave together, and wake the caller once. What takes longer
 * is announced long before the caller would give up waiting for acceptance and go elsewhere.
 */
function accept(socket: Socket): void {
  socket.cork();
  socket.write(encodeFrame({ kind: 'accepted' }));
  const stop = startTimer(announceAfterMs, () => socket.uncork());
  socket.once('close', stop);
}

function sendAway(socket: Socket, { reason, words }: Refusal): void {
  finish(socket, encodeFrame({ kind: 'elsewhere', status: elsewhereReasons[reason], body: words }));
}

/** Sends the last frame. Who does not fetch it may not keep the connection for ever. */
function finish(socket: Socket, frame: Buffer): void {
  const stop = startTimer(fetchDeadlineMs, () => socket.destroy());
  socket.once('close', stop);
  socket.end(frame);
}

/** The request; a refusal where it is none of this protocol; undefined where the caller went away. */
async function readRequest(socket: Socket, onComplete: (request: Request) => void): Promise<Request | Refusal | undefined> {
  const decoder = new RequestDecoder();
  return new Promise((resolve) => {
    const settle = (outcome: Request | Refusal | undefined): void => {
      stop();
      socket.off('data', take);
      socket.off('close', leave);
      resolve(outcome);
    };
    const take = (chunk: Buffer): void => {
      try {
        const request = decoder.push(chunk);
        if (request === undefined) return;
        onComplete(request);
        settle(request);
      } catch (error) {
        settle(refusalOf(error));
      }
    };
    const leave = (): void => settle(undefined);
    const stop = startTimer(requestDeadlineMs, () => settle({ reason: 'badRequest', words: `the request must be complete within ${requestDeadlineMs} ms` }));
    socket.on('data', take).on('close', leave);
  });
}

function refusalOf(error: unknown): Refusal {
  const isOtherVersion = error instanceof ProtocolError && error.fault === 'version';
  return { reason: isOtherVersion ? 'unknownVersion' : 'badRequest', words: describeError(error) };
}

/** Node keeps the descriptor of a socket to itself, and has no other way to SO_PEERCRED. */
function descriptorOf(socket: Socket): number | undefined {
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined;
  return typeof fd === 'number' && fd >= 0 ? fd : undefined;
}
