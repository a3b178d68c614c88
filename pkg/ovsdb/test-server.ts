/** A server for tests that says what it is told to say. */
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { temporaryDirectory } from '../testing/directory.ts';
import type { TeardownScope } from '../testing/netns.ts';
import { MessageSplitter } from './framing.ts';
import { decodeMessage, type Message } from './message.ts';

/** What the server does with a request, on the socket it came from. */
export type Script = (request: Extract<Message, { kind: 'request' }>, socket: Socket) => void;

/**
 * Listens until the scope ends.
 * @param serve what to do with a connection; default: every request goes to the script
 * @returns the path of its socket, and the connections so far
 */
export async function startTestServer(scope: TeardownScope, script: Script, serve: (socket: Socket) => void = serveScript(script)): Promise<{ readonly path: string; readonly sockets: readonly Socket[] }> {
  const path = join(temporaryDirectory(scope), 'db.sock');
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  scope.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { path, sockets };
}

function serveScript(script: Script): (socket: Socket) => void {
  return (socket) => {
    const splitter = new MessageSplitter();
    socket.on('data', (chunk: Buffer) => {
      for (const message of splitter.push(chunk).map(decodeMessage)) if (message.kind === 'request') script(message, socket);
    });
  };
}

/** Answers a request with a result, or with an error where one is given. */
export function answer({ id }: { readonly id: unknown }, socket: Socket, { result = {}, error = null }: { readonly result?: unknown; readonly error?: unknown } = {}): void {
  socket.write(JSON.stringify({ id, result, error }));
}
