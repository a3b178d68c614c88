/** Kubernetes' API, by the socket of a `kubectl proxy`: JSON over HTTP, and a watch, which is a line of JSON for each change. */
import { request, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import type { TeardownScope } from '../../pkg/testing/netns.ts';

const deadlineMs = 60_000;

export interface KubeObject {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly uid?: string; readonly deletionTimestamp?: string };
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

  /** Hears of every change after a list's version until the scope ends. @param onEvent is called in the order of the changes */
  async watch<T>(scope: TeardownScope, path: string, version: string, onEvent: (event: WatchEvent<T>) => void): Promise<void> {
    const response = await this.#send('GET', `${path}?watch=1&resourceVersion=${version}&timeoutSeconds=1800`);
    scope.teardown(() => void response.destroy());
    response.on('error', () => undefined);
    createInterface({ input: response }).on('line', (line) => onEvent(JSON.parse(line) as WatchEvent<T>));
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
