import { closeSync } from 'node:fs';
import t from 'tap';
import { run } from '../testing/command.ts';
import { createNetns, netnsPath, type TeardownScope } from '../testing/netns.ts';
import { readAddresses } from '../testing/observe.ts';
import { skipUnless } from '../testing/requirements.ts';
import { parseInterfaceAddress } from '../netaddr/netaddr.ts';
import { openNetns } from '../sys/netns.ts';
import { addAddress } from './address.ts';
import { decodeLink, getLink } from './link.ts';
import { NetlinkQueue } from './netlink-queue.ts';
import { openNetlink, requestsPerDatagram, type NetlinkSocket } from './netlink-socket.ts';

const skip = skipUnless({ root: true, tools: ['ip'] });
const loopback = 1;

/** A queue in a namespace of its own, and how often it has opened a socket. */
function openQueue(scope: TeardownScope): { readonly netns: string; readonly queue: NetlinkQueue; readonly opened: NetlinkSocket[] } {
  const netns = createNetns(scope);
  const fd = openNetns(netnsPath(netns));
  scope.teardown(() => closeSync(fd));
  const opened: NetlinkSocket[] = [];
  const queue = new NetlinkQueue(() => {
    const socket = openNetlink('route', fd);
    opened.push(socket);
    return socket;
  });
  scope.teardown(() => queue.close());
  return { netns, queue, opened };
}

function addressOf(number: number): ReturnType<typeof parseInterfaceAddress> {
  return parseInterfaceAddress(`10.9.${number >> 8}.${number & 0xff}/32`);
}

void t.test('each caller gets the answers to its own requests, and only its own refusal', { skip }, async (t) => {
  const { netns, queue, opened } = openQueue(t);
  const rows = Array.from({ length: 3 * requestsPerDatagram }, (_, number) => number);
  const outcomes = await Promise.allSettled(rows.map((number) => (number % 3 === 0
    ? queue.request([getLink('nowhere'), addAddress(loopback, addressOf(number))])
    : queue.request([addAddress(loopback, addressOf(number)), getLink('lo')]))));
  for (const [number, outcome] of outcomes.entries()) {
    if (number % 3 === 0) t.match(outcome, { status: 'rejected', reason: { errnoCode: 'ENODEV', message: /^Cannot read link nowhere: / } });
    else t.equal(outcome.status === 'fulfilled' && outcome.value[1]?.[0] !== undefined && decodeLink(outcome.value[1][0]).name, 'lo');
  }
  t.equal(readAddresses(netns, 'lo').length, rows.length, 'what stands behind a refused request is carried out too');
  t.equal(opened.length, 1);
});

void t.test('requests that come while others are under way', { skip }, async (t) => {
  const { queue } = openQueue(t);
  const names: string[] = [];
  const ask = async (depth: number): Promise<void> => {
    const [answer] = await queue.request([getLink('lo')]);
    if (answer?.[0] !== undefined) names.push(decodeLink(answer[0]).name);
    if (depth > 0) await Promise.all([ask(depth - 1), ask(depth - 1)]);
  };
  await ask(4);
  t.same(names, Array.from({ length: 31 }, () => 'lo'));
});

void t.test('a socket that fails is replaced, and whoever waited is told', { skip }, async (t) => {
  const { queue, opened } = openQueue(t);
  await queue.request([getLink('lo')]);
  opened[0]?.close();
  await t.rejects(Promise.all([queue.request([getLink('lo')]), queue.request([getLink('lo')])]), { code: 'tryAgainLater' });
  t.equal((await queue.request([getLink('lo')])).length, 1);
  t.equal(opened.length, 2);
});

void t.test('one that cannot be opened', async (t) => {
  const queue = new NetlinkQueue(() => {
    throw new Error('no socket today');
  });
  await t.rejects(queue.request([getLink('lo')]), { message: 'no socket today' });
  queue.close();
});

void t.test('as many long answers as a datagram of requests can have', { skip }, async (t) => {
  const { netns, queue } = openQueue(t);
  run('ip', ['-n', netns, '-batch', '-'], 'link add bridge0 type bridge\nlink add vxlan0 master bridge0 type vxlan id 7 local 127.0.0.1 dstport 4789\n');
  const answers = await Promise.all(Array.from({ length: requestsPerDatagram }, () => queue.request([getLink('bridge0'), getLink('vxlan0')])));
  t.equal(answers.filter(([bridge, vxlan]) => bridge?.length === 1 && vxlan?.length === 1).length, requestsPerDatagram);
});
