/**
 * The kubelet's side of the container runtime interface (k8s.io/cri-api, runtime/v1/api.proto): the few calls that make
 * and remove a pod's sandbox, which is when a runtime calls CNI. Debian has no crictl.
 */
import { connect as connectHttp2, constants, type ClientHttp2Session } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { decodeMessage, encodeMessage, type Decoded, type Fields } from './protobuf.ts';

const deadlineMs = 30_000;
/** gRPC over HTTP/2: a flag for compression and the length, four bytes, before each message. */
const framePrefixBytes = 5;

export interface Pod {
  readonly name: string;
  readonly namespace: string;
  /** How often its sandbox was made before. @default 0 */
  readonly attempt?: number;
  /** TCP, of the node and of the pod. */
  readonly hostPorts?: readonly { readonly hostPort: number; readonly containerPort: number }[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/** What the runtime tells the kubelet of a sandbox. */
export interface Sandbox {
  readonly id: string;
  /** The pod's addresses, the first of which is its primary one. */
  readonly ips: readonly string[];
  /** Of the sandbox's process, as the runtime counts. */
  readonly pid: number;
}

/** A connection to a runtime's socket. Its lifetime is its scope's. */
export class CriClient {
  readonly #session: ClientHttp2Session;
  readonly #cgroupParent: string;

  constructor(session: ClientHttp2Session, cgroupParent: string) {
    this.#session = session;
    this.#cgroupParent = cgroupParent;
  }

  /** Makes a pod's sandbox, for which the runtime calls ADD. @throws Error with the runtime's words */
  async runPodSandbox({ name, namespace, attempt = 0, hostPorts = [], annotations = {} }: Pod): Promise<Sandbox> {
    const metadata: Fields = [[1, name], [2, `uid-${name}`], [3, namespace], [4, attempt]];
    const ports = hostPorts.map(({ hostPort, containerPort }) => [5, [[2, containerPort], [3, hostPort]]] as const);
    const notes = Object.entries(annotations).map(([key, value]) => [7, [[1, key], [2, value]]] as const);
    const config: Fields = [[1, metadata], [3, `/run/pod-logs/${name}`], ...ports, ...notes, [8, [[1, this.#cgroupParent]]]];
    const response = await this.#call('RuntimeService/RunPodSandbox', [[1, config]]);
    return this.#readSandbox(textOf(response, 1));
  }

  /** Stops a sandbox, for which the runtime calls DEL; what is stopped already is stopped once more. */
  async stopPodSandbox(id: string): Promise<void> {
    await this.#call('RuntimeService/StopPodSandbox', [[1, id]]);
  }

  /** Removes a sandbox, for which the runtime calls DEL again, without a namespace. */
  async removePodSandbox(id: string): Promise<void> {
    await this.#call('RuntimeService/RemovePodSandbox', [[1, id]]);
  }

  /** Whether the runtime has an image, so that it will not try to pull it. */
  async hasImage(name: string): Promise<boolean> {
    return (await this.#call('ImageService/ImageStatus', [[1, [[1, name]]]])).has(1);
  }

  async #readSandbox(id: string): Promise<Sandbox> {
    const verbose = 1;
    const response = await this.#call('RuntimeService/PodSandboxStatus', [[1, id], [2, verbose]]);
    const network = messageOf(messageOf(response, 1), 5);
    const additional = (network.get(2) ?? []).map((ip) => textOf(decodeMessage(ip), 1));
    const info = JSON.parse(textOf(messageOf(response, 2), 2)) as { readonly pid: number };
    return { id, ips: [textOf(network, 1), ...additional], pid: info.pid };
  }

  /** One call with one message each way. @throws Error with the status message of gRPC */
  async #call(method: string, request: Fields): Promise<Decoded> {
    const message = encodeMessage(request);
    const prefix = Buffer.alloc(framePrefixBytes);
    prefix.writeUInt32BE(message.length, 1);
    const path = `/runtime.v1.${method}`;
    const stream = this.#session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' });
    let status: Readonly<Record<string, unknown>> = {};
    // An error without a message has its status in the headers, which then are the trailers too.
    for (const event of ['response', 'trailers'] as const) stream.on(event, (headers) => (status = { ...status, ...headers }));
    stream.setTimeout(deadlineMs, () => stream.close(constants.NGHTTP2_CANCEL));
    stream.end(Buffer.concat([prefix, message]));
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    if (status['grpc-status'] !== '0') throw new Error(`${method} failed: ${decodeURIComponent(String(status['grpc-message'] ?? 'no answer'))}`);
    return decodeMessage(Buffer.concat(chunks).subarray(framePrefixBytes));
  }
}

/** Connects to a runtime. Its pods' control groups go below the parent, an absolute name. */
export function connectCri(scope: TeardownScope, socketPath: string, cgroupParent: string): CriClient {
  const session = connectHttp2('http://localhost', { createConnection: () => connectSocket(socketPath) });
  // Calls in flight report it.
  session.on('error', () => undefined);
  scope.teardown(() => session.destroy());
  return new CriClient(session, cgroupParent);
}

function messageOf(message: Decoded, field: number): Decoded {
  return decodeMessage(message.get(field)?.[0] ?? Buffer.alloc(0));
}

function textOf(message: Decoded, field: number): string {
  return message.get(field)?.[0]?.toString() ?? '';
}
