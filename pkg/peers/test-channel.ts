/** What the tests of the channel share: two ends on loopback, keys, certificates, and a log that remembers. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { MigrationAuthentication, TlsFilesConf } from '../config/migration-conf.ts';
import type { Log, LogFields, LogLevel } from '../log/log.ts';
import { parseAddress, type Address } from '../netaddr/netaddr.ts';
import { run } from '../testing/command.ts';
import type { TeardownScope } from '../testing/netns.ts';
import type { ChannelLimits } from './limits.ts';
import { PeerChannel, type PeerHandler } from './peers.ts';

/** A line as it was logged. */
export interface LoggedLine extends LogFields {
  readonly level: LogLevel;
  readonly message: string;
}

export const key: MigrationAuthentication = { by: 'key', key: 'a key for the tests only' };
export const otherKey: MigrationAuthentication = { by: 'key', key: 'a key of somebody else' };

export const addressA: Address = parseAddress('127.0.0.2');
export const addressB: Address = parseAddress('127.0.0.3');

/** For tests that wait for nothing in particular. */
export const longMs = 20_000;

/** A node of a test. */
export interface TestNode {
  readonly channel: PeerChannel;
  readonly lines: readonly LoggedLine[];
}

/** What is left out is as it mostly is. */
export interface TestNodeOptions {
  readonly name: string;
  readonly port: number;
  readonly authentication?: MigrationAuthentication;
  readonly handler?: PeerHandler;
  readonly limits?: Partial<ChannelLimits>;
}

/** Answers with what it was asked. */
export const echo: PeerHandler = (body) => Promise.resolve(body);

/** A channel that is closed with the scope. */
export function createNode(scope: TeardownScope, { name, port, authentication = key, handler = echo, limits = {} }: TestNodeOptions): TestNode {
  const lines: LoggedLine[] = [];
  const at = (level: LogLevel) => (fields: LogFields, message: string): void => void lines.push({ ...fields, level, message });
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const channel = new PeerChannel({ conf: { authentication, port }, node: name, handler, log, limits });
  scope.teardown(() => channel.close());
  return { channel, lines };
}

/** Two nodes that listen, at addressA and addressB. */
export async function createPair(scope: TeardownScope, a: Partial<TestNodeOptions> = {}, b: Partial<TestNodeOptions> = {}): Promise<{ readonly a: TestNode; readonly b: TestNode; readonly port: number }> {
  const port = await freePort();
  const nodes = { a: createNode(scope, { name: 'node-a', port, ...a }), b: createNode(scope, { name: 'node-b', port, ...b }), port };
  await nodes.a.channel.listen(addressA);
  await nodes.b.channel.listen(addressB);
  return nodes;
}

/** A TCP port that nobody on loopback listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Waits for a condition. @throws Error when it does not come true */
export async function eventually(what: string, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + longMs;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`it should be that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** An authority of the test's own. @returns what makes a certificate of it */
export function createAuthority(directory: string, name: string): (node: string) => TlsFilesConf {
  const ca = join(directory, `${name}-ca.pem`);
  const caKey = join(directory, `${name}-ca.key`);
  openssl('req', '-x509', ...newKey(caKey), '-subj', `/CN=${name}`, '-days', '2', '-out', ca);
  return (node) => {
    const [request, certificate, own] = ['csr', 'pem', 'key'].map((ending) => join(directory, `${name}-${node}.${ending}`)) as [string, string, string];
    openssl('req', ...newKey(own), '-subj', `/CN=${node}`, '-out', request);
    openssl('x509', '-req', '-in', request, '-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-days', '2', '-out', certificate);
    return { certificate, key: own, ca };
  };
}

/** A certificate that nobody but its owner has signed. */
export function createSelfSigned(directory: string, node: string): { readonly certificate: string; readonly key: string } {
  const [certificate, own] = [join(directory, `${node}.pem`), join(directory, `${node}.key`)];
  openssl('req', '-x509', ...newKey(own), '-subj', `/CN=${node}`, '-days', '2', '-out', certificate);
  return { certificate, key: own };
}

function newKey(path: string): readonly string[] {
  writeFileSync(path, '', { mode: 0o600 });
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', path];
}

function openssl(command: string, ...args: readonly string[]): void {
  run('openssl', [command, ...args]);
}
