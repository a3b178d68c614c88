/**
 * The HTTP end of the metrics. Whoever can connect may ask, so everything has a limit: connections, the head of a request, the time until it is whole, and the
 * time until the answer is taken.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { formatListen, type MetricsListen } from '../config/metrics-conf.ts';
import { describeError } from '../errors/weft-error.ts';
import type { Log } from '../log/log.ts';
import { formatAddress } from '../netaddr/netaddr.ts';
import { startTimer } from '../sys/timer.ts';

export interface MetricsServerParts {
  /** The text of a scrape. */
  readonly body: () => Promise<string>;
  readonly log: Log;
}

export interface MetricsServerLimits {
  /** Connections at once; others are closed at once. */
  readonly connectionsMax: number;
  /** From connecting, or from the answer before, to the whole head of a request. */
  readonly requestMs: number;
  /** From the request until its answer is taken. */
  readonly answerMs: number;
}

/** A few servers that scrape, and somebody with curl. */
export const serverLimits: MetricsServerLimits = { connectionsMax: 16, requestMs: 5000, answerMs: 10_000 };

const headBytesMax = 8192;
/** Of the exposition format that every Prometheus reads. */
const contentType = 'text/plain; version=0.0.4; charset=utf-8';

/** An end that listens. */
export class MetricsServer {
  readonly #parts: MetricsServerParts;
  readonly #limits: MetricsServerLimits;
  readonly #server: Server;
  /** One look at a time: who asks meanwhile gets the same. */
  #answering: Promise<string> | undefined;

  private constructor(parts: MetricsServerParts, limits: MetricsServerLimits) {
    const { connectionsMax, requestMs } = limits;
    this.#parts = parts;
    this.#limits = limits;
    this.#server = createServer({ maxHeaderSize: headBytesMax, headersTimeout: requestMs, requestTimeout: requestMs, keepAliveTimeout: requestMs, connectionsCheckingInterval: Math.max(100, Math.min(1000, requestMs / 2)) }, (request, response) => void this.#answer(request, response));
    this.#server.maxConnections = connectionsMax;
    this.#server.on('connection', (socket: Socket) => {
      // A reset is no news.
      socket.on('error', () => undefined);
    });
  }

  /** Listens from then on. @throws Error such as EADDRINUSE, EADDRNOTAVAIL */
  static async open({ address, port }: MetricsListen, parts: MetricsServerParts, limits: MetricsServerLimits = serverLimits): Promise<MetricsServer> {
    const metrics = new MetricsServer(parts, limits);
    await new Promise<void>((resolve, reject) => {
      metrics.#server.once('error', reject);
      // Of an IPv6 address that one alone: `[::]` would take the port of every IPv4 address as well.
      metrics.#server.listen({ host: formatAddress(address), port, ipv6Only: true }, () => {
        metrics.#server.off('error', reject);
        resolve();
      });
    });
    metrics.#server.on('error', (error) => parts.log.warn({ code: 'metrics-server', listen: formatListen({ address, port }), error: describeError(error) }, 'the end of the metrics has a fault'));
    return metrics;
  }

  /** Ends it; answers that are under way are cut off. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const cancel = startTimer(this.#limits.answerMs, () => request.socket.destroy());
    response.once('close', cancel);
    const [path] = (request.url ?? '').split('?');
    if (path !== '/metrics' && path !== '/healthz') return refuse(response, 404, 'there is /metrics, and /healthz\n');
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(response.setHeader('Allow', 'GET, HEAD'), 405, 'GET is the method\n');
    // What nobody reads would wait in the connection for the next request.
    if (request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined) return refuse(response, 400, 'a request for metrics has no body\n');
    if (path === '/healthz') return send(response, { status: 200, type: 'text/plain; charset=utf-8', text: 'ok\n' });
    try {
      this.#answering ??= this.#parts.body().finally(() => (this.#answering = undefined));
      send(response, { status: 200, type: contentType, text: await this.#answering });
    } catch (error) {
      this.#parts.log.warn({ code: 'metrics-untold', error: describeError(error) }, 'the metrics cannot be told');
      refuse(response, 500, 'the metrics cannot be told: the log of the daemon says why\n');
    }
  }
}

function send(response: ServerResponse, { status, type, text }: { readonly status: number; readonly type: string; readonly text: string }): void {
  if (response.destroyed) return;
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
  response.end(response.req.method === 'HEAD' ? undefined : text);
}

/** And no further request on the connection. */
function refuse(response: ServerResponse, status: number, text: string): void {
  response.setHeader('Connection', 'close');
  send(response, { status, type: 'text/plain; charset=utf-8', text });
}
