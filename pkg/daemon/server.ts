/** The daemon's unix socket: who may connect, how many at once, and how it ends. */
import { createServer, type Server, type Socket } from 'node:net';
import { describeError } from '../errors/weft-error.ts';
import { pause, startTimer, withDeadline } from '../sys/timer.ts';
import { serveConnection, type RequestHandler } from './connection.ts';
import type { Log } from '../log/log.ts';
import { listenOn, type SocketFile } from './socket-file.ts';

/** Open connections. Whoever comes then is closed on at once, and a launcher tries again. */
const connectionsMax = 1024;
const dropsMs = 1000;

/** After another daemon has the name, connections that had been made before are still accepted for so long. */
const lateComersMs = 200;

/** Listens, and serves each connection. */
export class DaemonServer {
  readonly #server: Server;
  readonly #handler: RequestHandler;
  readonly #log: Log;
  readonly #running = new Map<Socket, Promise<void>>();
  #file?: SocketFile;
  #isStopped = false;
  /** Connections that were closed at once and are not in the log yet. */
  #dropped = 0;

  constructor(handler: RequestHandler, log: Log) {
    this.#handler = handler;
    this.#log = log;
    this.#server = createServer((socket) => this.#serve(socket));
    this.#server.maxConnections = connectionsMax;
    this.#server.on('drop', () => this.#noteDrop());
  }

  /** Open connections: as many calls are under way, or about to be. */
  get connections(): number {
    return this.#running.size;
  }

  /** Takes calls on the path from now on, in the place of whoever did before; none after stop(). @throws WeftError ioFailure */
  async listen(path: string): Promise<void> {
    this.#file = await listenOn(this.#server, path);
    // It was told to stop before it had begun.
    if (this.#isStopped) return this.#close();
    // For example EMFILE; the server goes on.
    this.#server.on('error', (error) => this.#log.error({ code: 'socket-fault', error: describeError(error) }, 'accepting a connection failed'));
  }

  /** Takes no more calls, and waits for those that are under way, but not for ever. @returns how many were left then */
  async stop({ deadlineMs, isReplaced = false }: { deadlineMs: number; isReplaced?: boolean }): Promise<number> {
    this.#isStopped = true;
    this.#file?.remove();
    if (isReplaced) await pause(lateComersMs);
    this.#close();
    await withDeadline(this.#drain(), { ms: deadlineMs, late: () => undefined });
    const left = this.#running.size;
    for (const socket of this.#running.keys()) socket.destroy();
    return left;
  }

  /** One line for all of a second: a thousand callers that try again must not fill the log. */
  #noteDrop(): void {
    this.#dropped += 1;
    if (this.#dropped > 1) return;
    startTimer(dropsMs, () => {
      this.#log.warn({ code: 'socket-crowded', connections: this.#running.size, callers: this.#dropped }, 'closed on callers: too many connections are open');
      this.#dropped = 0;
    });
  }

  #close(): void {
    this.#file?.remove();
    this.#server.close();
  }

  async #drain(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  #serve(socket: Socket): void {
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    const served = serveConnection(socket, this.#handler).catch((error: unknown) => {
      this.#log.error({ code: 'socket-fault', error: describeError(error) }, 'serving a connection failed');
      socket.destroy();
    });
    const over = served.then(() => closed).finally(() => this.#running.delete(socket));
    this.#running.set(socket, over);
  }
}
