/** A node of its own process, for tests with network namespaces: `test-node.ts NAME ADDRESS PORT`; questions on stdin, outcomes on stdout, a line of JSON each. */
import { createInterface } from 'node:readline';
import { isJsonObject } from '../cni/json-value.ts';
import { formatAddress, parseAddress } from '../netaddr/netaddr.ts';
import { PeerChannel, type JsonValue } from './peers.ts';

const [name = '', address = '', port = ''] = process.argv.slice(2);
const silent = (): void => undefined;
const channel = new PeerChannel({
  conf: { authentication: { by: 'key', key: 'a key for the tests only' }, port: Number(port) },
  node: name,
  handler: (body, from) => Promise.resolve({ body, by: name, from: `${from.node} at ${formatAddress(from.address)}` }),
  log: { debug: silent, info: silent, warn: silent, error: silent },
});
await channel.listen(parseAddress(address));
process.stdout.write('"ready"\n');

for await (const line of createInterface({ input: process.stdin })) {
  const { peer, body, deadlineMs }: Readonly<Record<string, unknown>> = readObject(line);
  const outcome: JsonValue = await channel.ask(parseAddress(String(peer)), String(body), { deadlineMs: Number(deadlineMs) }).catch((error: unknown) => ({ error: String(error) }));
  process.stdout.write(`${JSON.stringify({ outcome, connections: channel.connections })}\n`);
}
await channel.close();

function readObject(line: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(line);
  return isJsonObject(value) ? value : {};
}
