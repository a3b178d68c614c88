/** A daemon that a test plays: it listens on a node's socket and answers every request with the same bytes. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { placesOf } from './run-weft.ts';

/** Kinds of frames of version 1 of the protocol. */
export const frameKinds = { accepted: 0x81, answered: 0x82, elsewhere: 0x83 } as const;

export interface PlayedDaemon {
  /** What callers have sent. */
  readonly requests: readonly Buffer[];
}

/** Listens until the scope ends. Without an answer it lets its callers wait. */
export async function playDaemon(scope: TeardownScope, node: LabNode, answer?: Buffer): Promise<PlayedDaemon> {
  const requests: Buffer[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      requests.push(chunk);
      if (answer !== undefined) socket.end(answer);
    });
  });
  server.listen(placesOf(node).socket);
  await once(server, 'listening');
  scope.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { requests };
}

/** A frame as the protocol has it. */
export function frame(kind: number, body = '', status = 0): Buffer {
  const bytes = Buffer.from(body);
  const header = Buffer.alloc(16);
  header.write('WEFT');
  header.writeUInt16LE(1, 4);
  header.writeUInt16LE(kind, 6);
  header.writeUInt32LE(status, 8);
  header.writeUInt32LE(bytes.length, 12);
  return Buffer.concat([header, bytes]);
}

/** What a daemon says of itself, as far as `weft status` needs it. */
export function daemonStatus(overrides: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
  return {
    version: '9.9.9', pid: 4242, startedAt: Date.now() - 60_000, node: 'node1', callsInFlight: 0, memoryBytes: 73_400_320,
    calls: { ADD: { ok: 3, failed: 0 } }, reconciler: { passes: 1, repairs: [{ at: Date.now(), what: 'a repair of the test' }], openFaults: [] },
    ...overrides,
  };
}
