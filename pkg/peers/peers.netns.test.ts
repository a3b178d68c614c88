import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import t, { type Test } from 'tap';
import { inNetns, run, runIn } from '../testing/command.ts';
import { createNetns } from '../testing/netns.ts';
import { skipUnless } from '../testing/requirements.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'ss'] });
const port = '24790';
const program = new URL('test-node.ts', import.meta.url).pathname;

interface Node {
  readonly address: string;
  readonly netns: string;
  readonly ask: (peer: Node, deadlineMs?: number) => Promise<unknown>;
}

/** A daemon's end of the channel, in a namespace. */
async function startNode(t: Test, netns: string, { name, address }: { readonly name: string; readonly address: string }): Promise<Node> {
  const child = spawn('ip', inNetns(netns, process.execPath, program, name, address, port), { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('close', resolve));
  t.teardown(async () => {
    child.stdin.end();
    await ended;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => JSON.parse(String((await lines.next()).value));
  t.equal(await next(), 'ready');
  const ask = async (peer: { readonly address: string }, deadlineMs = 20_000): Promise<unknown> => {
    child.stdin.write(`${JSON.stringify({ peer: peer.address, body: 'where is it', deadlineMs })}\n`);
    return next();
  };
  return { address, netns, ask };
}

/** Two namespaces on one wire, and a second address that a node does not listen at. */
function connectNamespaces(t: Test): readonly [string, string] {
  const [a, b] = [createNetns(t, 'a'), createNetns(t, 'b')];
  run('ip', ['link', 'add', 'wire', 'netns', a, 'type', 'veth', 'peer', 'name', 'wire', 'netns', b]);
  for (const [netns, host] of [[a, 1], [b, 2]] as const) {
    // The first address of a subnet is what the kernel would choose as the source.
    for (const address of [`10.9.9.${host}/24`, `10.9.9.10${host}/24`, `fd00:9::${host}/64`]) runIn(netns, 'ip', 'address', 'add', address, 'dev', 'wire', ...(address.includes(':') ? ['nodad'] : []));
    for (const link of ['lo', 'wire']) runIn(netns, 'ip', 'link', 'set', link, 'up');
  }
  return [a, b];
}

/** Connections of the channel in a namespace, as the kernel has them. */
function connectionsIn(netns: string): number {
  return runIn(netns, 'ss', '-Htn', 'state', 'established', `( sport = :${port} or dport = :${port} )`).split('\n').filter(Boolean).length;
}

t.test('between two hosts', { skip }, async (t) => {
  const [first, second] = connectNamespaces(t);
  const a = await startNode(t, first, { name: 'node-a', address: '10.9.9.101' });
  const b = await startNode(t, second, { name: 'node-b', address: '10.9.9.102' });
  t.same(await a.ask(b), { outcome: { body: 'where is it', by: 'node-b', from: 'node-a at 10.9.9.101' }, connections: 1 }, 'it comes from where it listens');
  t.same(await b.ask(a), { outcome: { body: 'where is it', by: 'node-a', from: 'node-b at 10.9.9.102' }, connections: 1 });
  t.equal(connectionsIn(first), 1, 'one connection for both directions');
});

t.test('the wire is cut, and mended', { skip }, async (t) => {
  const [first, second] = connectNamespaces(t);
  const a = await startNode(t, first, { name: 'node-a', address: '10.9.9.101' });
  const b = await startNode(t, second, { name: 'node-b', address: '10.9.9.102' });
  await a.ask(b);
  runIn(first, 'ip', 'link', 'set', 'wire', 'down');
  t.match(await a.ask(b, 100), { outcome: { error: /node node-b at 10\.9\.9\.102 did not answer within 100 ms/ }, connections: 0 });
  runIn(first, 'ip', 'link', 'set', 'wire', 'up');
  t.match(await a.ask(b), { outcome: { by: 'node-b' }, connections: 1 }, 'a new connection, and no waiting for the old one');
});

t.test('IPv6', { skip }, async (t) => {
  const [first, second] = connectNamespaces(t);
  const a = await startNode(t, first, { name: 'node-a', address: 'fd00:9::1' });
  const b = await startNode(t, second, { name: 'node-b', address: 'fd00:9::2' });
  t.match(await a.ask(b), { outcome: { by: 'node-b', from: 'node-a at fd00:9::1' } });
  t.match(await b.ask(a), { outcome: { by: 'node-a', from: 'node-b at fd00:9::2' }, connections: 1 });
});
