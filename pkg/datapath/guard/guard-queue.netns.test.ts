/** What several callers want of the guard, in one batch. Read back with nft(8). */
import t, { type Test } from 'tap';
import type { NetlinkRequest } from '../../netlink/codec.ts';
import type { Netlink } from '../../netlink/netlink-socket.ts';
import { openNetlinkIn } from '../../netlink/test-socket.ts';
import { commitBatch } from '../../nftables/nftables.ts';
import { companyOf } from '../../sys/company.ts';
import { createNetns } from '../../testing/netns.ts';
import { nftJson } from '../../testing/observe.ts';
import { skipUnless } from '../../testing/requirements.ts';
import { blue, testPort } from '../test-node.ts';
import { portElements, type GuardElement } from './guard-elements.ts';
import { GuardQueue } from './guard-queue.ts';
import { guardTables } from './guard-rules.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'nft'] });

interface Scene {
  readonly netns: string;
  readonly queue: GuardQueue;
  /** How many batches were sent to the kernel. */
  readonly batches: () => number;
}

function createScene(t: Test, { calls = 2, hasTables = true } = {}): Scene {
  const netns = createNetns(t);
  const socket = openNetlinkIn(t, netns, 'netfilter');
  if (hasTables) commitBatch(socket, guardTables());
  let count = 0;
  const note = (requests: readonly NetlinkRequest[]): void => void (requests.some(({ isUnacknowledged }) => isUnacknowledged === true) && (count += 1));
  const counting: Netlink = {
    request: (requests) => (note(requests), socket.request(requests)),
    tryRequest: (requests) => (note(requests), socket.tryRequest(requests)),
    dump: (request) => socket.dump(request),
    close: () => undefined,
  };
  return { netns, queue: new GuardQueue({ netfilter: counting, company: companyOf(() => calls) }), batches: () => count };
}

function elementsOf(n: number): GuardElement[] {
  return portElements(testPort(blue, n), { hasGateway: false });
}

/** How many ports the guard knows. */
function countPorts(netns: string): number {
  const { nftables } = nftJson<{ readonly nftables: readonly { readonly set?: { readonly name: string; readonly elem?: readonly unknown[] } }[] }>(netns, 'list', 'ruleset');
  return nftables.find(({ set }) => set?.name === 'ports')?.set?.elem?.length ?? 0;
}

void t.test('what comes together goes together', { skip }, async (t) => {
  const { netns, queue, batches } = createScene(t);
  await Promise.all([1, 2, 3].map((n) => queue.add(elementsOf(n))));
  t.equal(countPorts(netns), 3);
  t.equal(batches(), 1);
  await Promise.all([queue.remove(elementsOf(1)), queue.remove(elementsOf(2)), queue.add(elementsOf(4))]);
  t.equal(countPorts(netns), 2);
  t.equal(batches(), 3, 'one for removals and one for additions');
});

void t.test('a caller who is alone waits for nobody', { skip }, async (t) => {
  const { netns, queue } = createScene(t, { calls: 1 });
  const added = queue.add(elementsOf(1));
  t.equal(countPorts(netns), 1, 'within the call');
  await added;
  const removed = queue.remove(elementsOf(1));
  t.equal(countPorts(netns), 0);
  await removed;
});

void t.test('nobody fails for another one’s element', { skip }, async (t) => {
  const { netns, queue } = createScene(t);
  const [good] = elementsOf(1);
  const impossible: GuardElement = { ...(good as GuardElement), set: 'no-such-set' };
  const outcomes = await Promise.allSettled([queue.add(elementsOf(1)), queue.add([impossible]), queue.add(elementsOf(2))]);
  t.same(outcomes.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled']);
  t.equal(countPorts(netns), 2);
});

void t.test('what is gone already is no error, also among others', { skip }, async (t) => {
  const { netns, queue } = createScene(t);
  await Promise.all([1, 2].map((n) => queue.add(elementsOf(n))));
  await Promise.all([1, 2, 3].map((n) => queue.remove(elementsOf(n))));
  t.equal(countPorts(netns), 0);
});

void t.test('tables that somebody has deleted are made, once for all', { skip }, async (t) => {
  const { netns, queue } = createScene(t, { hasTables: false });
  await Promise.all([1, 2, 3].map((n) => queue.add(elementsOf(n))));
  t.equal(countPorts(netns), 3);
});

void t.test('more elements than one batch takes', { skip }, async (t) => {
  const { netns, queue, batches } = createScene(t);
  const ports = Array.from({ length: 250 }, (_, index) => elementsOf(index + 1));
  const perPort = ports[0]?.length ?? 0;
  t.equal(perPort, 4, 'MAC, IPv4, IPv6 and link-local address');
  const many = [...ports, ...Array.from({ length: 10 }, () => elementsOf(1))];
  await Promise.all(many.map((elements) => queue.add(elements)));
  t.equal(countPorts(netns), 250);
  t.equal(batches(), 2);
});
