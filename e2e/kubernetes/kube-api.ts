/** Kubernetes' API, by the socket of a `kubectl proxy`: JSON over HTTP, and a watch, which is a line of JSON for each change. */
import { request, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { TeardownScope } from '../../pkg/testing/netns.ts';

const deadlineMs = 60_000;
/** Before a watch that was cut off goes on. */
const retryMs = 200;

export interface KubeObject {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly uid?: string; readonly resourceVersion?: string; readonly deletionTimestamp?: string };
}

export interface KubeList<T> {
  readonly items: readonly T[];
  readonly metadata: { readonly resourceVersion: string };
}

export interface WatchEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T;
}

/** A client. It keeps nothing but the socket's path. */
export class KubeApi {
  readonly #socketPath: string;

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  async get<T>(path: string): Promise<T> {
    return this.#call<T>('GET', path);
  }

  async list<T>(path: string): Promise<KubeList<T>> {
    return this.#call<KubeList<T>>('GET', path);
  }

  async create<T>(path: string, body: unknown): Promise<T> {
    return this.#call<T>('POST', path, body);
  }

  /** Changes a few fields (RFC 7386). */
  async change<T>(path: string, body: unknown): Promise<T> {
    return this.#call<T>('PATCH', path, body);
  }

  async remove(path: string): Promise<void> {
    await this.#call('DELETE', path);
  }

  /**
   * Hears of every change after a list's version until the scope ends. An API server ends the watch of whoever is slow, which a busy
   * machine makes of anybody: then it goes on behind the last change that was heard of.
   * @param onEvent is called in the order of the changes
   */
  watch<T extends KubeObject>(scope: TeardownScope, path: string, version: string, onEvent: (event: WatchEvent<T>) => void): void {
    const ended = new AbortController();
    scope.teardown(() => ended.abort());
    let last = version;
    const follow = async (): Promise<void> => {
      while (!ended.signal.aborted) {
        await this.#watchOnce<T>(`${path}?watch=1&resourceVersion=${last}&timeoutSeconds=1800`, ended.signal, (event) => {
          last = event.object.metadata.resourceVersion ?? last;
          onEvent(event);
        });
      }
    };
    void follow();
  }

  /** Ends a moment after the connection does, or could not be made. */
  async #watchOnce<T>(path: string, ended: AbortSignal, onEvent: (event: WatchEvent<T>) => void): Promise<void> {
    try {
      const response = await this.#send('GET', path);
      ended.addEventListener('abort', () => void response.destroy());
      for await (const line of createInterface({ input: response })) onEvent(JSON.parse(line) as WatchEvent<T>);
    } catch {
      // Cut off, or refused: what is missed is asked for again.
    }
    await delay(retryMs, undefined, { ref: false });
  }

  async #call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await this.#send(method, path, body);
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
    return JSON.parse(text === '' ? '{}' : text) as T;
  }

  /** @throws Error with Kubernetes' words where the status is none of success */
  async #send(method: string, path: string, body?: unknown): Promise<IncomingMessage> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
      const sent = request({ socketPath: this.#socketPath, method, path, headers: { host: 'localhost', 'content-type': type } }, resolve);
      sent.once('error', reject);
      sent.setTimeout(deadlineMs, () => sent.destroy(new Error(`${method} ${path} was not answered in ${deadlineMs / 1000} s`)));
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
    response.socket.setTimeout(0);
    if ((response.statusCode ?? 0) < 300) return response;
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
    throw new Error(`${method} ${path} failed with ${response.statusCode}: ${text.slice(0, 500)}`);
  }
}
