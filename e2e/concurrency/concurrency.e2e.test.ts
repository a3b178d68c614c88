/**
 * Many plugin processes on one node at once, in a range of exactly as many addresses: a lost or doubled address fails an
 * ADD, of the same round or of the next.
 */
import t from 'tap';
import { createManyNetns } from '../../pkg/testing/netns.ts';
import { readLinks } from '../../pkg/testing/observe.ts';
import { describeOutcome, type CniOutcome } from '../harness/cni-call.ts';
import { ping } from '../harness/container.ts';
import type { Attach, LabNode } from '../harness/lab-node.ts';
import { createLab } from '../harness/lab.ts';
import { netConf } from '../harness/net-conf.ts';
import { skipWithoutLab } from '../harness/weft-executable.ts';
import { inParallel } from './in-parallel.ts';

const skip = skipWithoutLab();
t.setTimeout(170_000);
const attachments = 200;
const atOnce = 32;

t.test(`${attachments} attachments, ${atOnce} at a time`, { skip }, async (t) => {
  const lab = createLab(t, { nodes: 1 });
  const node = lab.node(1);
  const before = node.snapshot();
  const ranges = [[{ subnet: '10.9.0.0/16', rangeStart: '10.9.1.1', rangeEnd: `10.9.1.${attachments}` }]];
  const conf = netConf({ name: 'blue', vni: 1001, vtep: node.ipv4, peers: [], ranges });
  const namespaces = createManyNetns(t, attachments + 1, 'many');
  const attaches = namespaces.map((netns, index): Attach => ({ conf, netns, containerId: `container-${index}` }));
  const [oneTooMany, ...all] = attaches;
  if (oneTooMany === undefined) throw new Error('there is one too many');

  for (const round of [1, 2]) {
    const added = await inParallel(all, atOnce, (attach) => node.add(attach));
    t.same(failures(added), [], `round ${round}: every ADD succeeds`);
    const addresses = added.map(({ result }) => result?.ips?.[0]?.address ?? '');
    t.equal(new Set(addresses).size, attachments, `round ${round}: no address twice`);
    t.equal(portCount(node), attachments, `round ${round}: a host interface for each`);
    t.equal(await ping(namespaces[1] ?? '', addresses[attachments - 1]?.split('/')[0] ?? ''), 1, `round ${round}: the first reaches the last`);
    t.match(await node.add(oneTooMany), { exitCode: Number, error: { code: 102 } }, `round ${round}: the range is exhausted`);

    const deleted = await inParallel(all, atOnce, (attach) => node.del(attach));
    t.same(failures(deleted), [], `round ${round}: every DEL succeeds`);
    t.same(node.snapshot(), before, `round ${round}: the node is as before`);
    t.comment(`round ${round}: ADD median ${medianMs(added)} ms, DEL median ${medianMs(deleted)} ms, ${atOnce} at a time`);
  }
});

t.test('ADD and DEL of several tenants at once, first and last attachments of each among them', { skip }, async (t) => {
  const lab = createLab(t, { nodes: 1 });
  const node = lab.node(1);
  const before = node.snapshot();
  const ranges = [[{ subnet: '10.9.0.0/24' }]];
  const attaches = createManyNetns(t, 32, 'tenants').map((netns, index): Attach => {
    const number = index % 16;
    const conf = netConf({ name: `tenant${number}`, vni: 2000 + number, vtep: node.ipv4, peers: [], ranges });
    return { conf, netns, containerId: `container-${index}` };
  });
  for (const round of [1, 2, 3]) {
    const outcomes = await inParallel(attaches, atOnce, async (attach) => {
      const added = await node.add(attach);
      return added.exitCode === 0 ? node.del(attach) : added;
    });
    t.same(failures(outcomes), [], `round ${round}: every ADD and DEL succeeds`);
    t.same(node.snapshot(), before, `round ${round}: the node is as before`);
  }
});

function failures(outcomes: readonly CniOutcome[]): readonly string[] {
  return outcomes.filter(({ exitCode }) => exitCode !== 0).map(describeOutcome);
}

function portCount(node: LabNode): number {
  return readLinks(node.netns).filter(({ ifname }) => ifname.startsWith('weft-p')).length;
}

function medianMs(outcomes: readonly CniOutcome[]): number {
  const sorted = outcomes.map(({ ms }) => ms).sort((a, b) => a - b);
  return Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0);
}
