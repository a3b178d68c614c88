/** Endpoints that have never sent anything are reached by the first packet, and nobody asks for them over the underlay. */
import t, { type Test } from 'tap';
import { startCapture } from '../../pkg/testing/capture.ts';
import { runIn } from '../../pkg/testing/command.ts';
import { ipJson } from '../../pkg/testing/observe.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { ping } from '../harness/container.ts';
import type { Lab } from '../harness/lab.ts';
import { blue } from '../harness/tenant.ts';
import { addressesKnown, attachEvpnGuest, createEvpnScene, evpnConf, reached, skipWithoutEvpnLab, type EvpnGuest, type EvpnScene } from './scene.ts';
import { carriedBy, type Question } from './silent-frames.ts';

const skip = skipWithoutEvpnLab('tcpdump');
t.setTimeout(120_000);

/** How often each address is looked up with nobody remembering anything. */
const rounds = 10;

t.test('an endpoint that has never sent anything is reached by the first packet', { skip }, async (t) => {
  const scene = await createEvpnScene(t, { nodes: 3 });

  await t.test('as soon as it is known, on nodes that the tenant is new on', async (t) => checkFirstPings(t, scene, 100));
  await t.test('and on nodes that have had the tenant for a while', async (t) => checkFirstPings(t, scene, 110));
});

/** One silent endpoint on each node, with an address behind `base`. */
async function checkFirstPings(t: Test, { lab, nodes }: EvpnScene, base: number): Promise<void> {
  const asking = await attachEvpnGuest(lab, blue, { node: 1, label: `asking${base}` });
  const silent: SilentContainer[] = [];
  for (const node of [1, 2, 3]) silent.push(await attachSilent(t, lab, { node, address: `10.1.1.${base + node}` }));
  await lab.settle();
  for (const one of nodes) await addressesKnown(one, blue.vni, [asking.participant.ipv4, ...silent.map(({ address }) => address)]);
  for (const { netns, address } of silent) {
    t.equal(framesSent(netns), 0, `${address} has sent nothing`);
    t.equal(await ping(asking.netns, address), 1, 'it answers the first ping');
    t.ok(framesSent(netns) > 0, 'for which it has sent something');
  }
}

t.test('nobody asks over the underlay for what is known', { skip }, async (t) => {
  const { lab, nodes } = await createEvpnScene(t, { nodes: 3 });
  const asking = await attachEvpnGuest(lab, blue, { node: 1, label: 'asking' });
  const others: EvpnGuest[] = [];
  for (const [label, node] of [['here', 1], ['there', 2], ['yonder', 3]] as const) others.push(await attachEvpnGuest(lab, blue, { node, label }));
  await lab.settle();
  const addresses = others.flatMap(({ participant: { ipv4, ipv6 } }) => [ipv4, ipv6]);
  for (const one of nodes) await addressesKnown(one, blue.vni, [...addresses, asking.participant.ipv4, asking.participant.ipv6]);
  for (const address of addresses) await reached(asking.netns, address);
  const questions = await listenToUnderlay(t, lab);

  await t.test('for endpoints of other nodes and of the same one', async (t) => {
    let answered = 0;
    for (let round = 0; round < rounds; round += 1) {
      for (const { netns } of [asking, ...others]) runIn(netns, 'ip', 'neigh', 'flush', 'dev', 'eth0');
      for (const address of addresses) answered += await ping(asking.netns, address);
    }
    const lookups = rounds * addresses.length;
    t.equal(answered, lookups, 'every first ping is answered');
    const { asked, frames } = await questions();
    t.same(asked, [], 'and nobody was asked');
    t.comment(`${lookups} addresses looked up by either side: ${frames} VXLAN frames at the ports of the underlay, ${asked.length} of them ARP requests or neighbour solicitations`);
  });

  await t.test('for an address that nobody knows every other node is asked', async (t) => {
    const expected = [2, 3].map((node) => `${lab.node(1).ipv4} asks ${lab.node(node).ipv4}`);
    const rows = [['10.1.1.99', 'ARP request', '0a010163'], ['fd00:1::99', 'neighbour solicitation', 'fd000001000000000000000000000099']] as const;
    for (const [address, kind, target] of rows) {
      t.equal(await ping(asking.netns, address), 0, `${address} does not answer`);
      const asked = (await questions()).asked.filter((question) => question.target === target);
      t.same([...new Set(asked.map(({ from, to }) => `${from} asks ${to}`))].sort(), expected, kind);
      t.ok(asked.every((question) => question.kind === kind && question.isFlooded && question.vni === blue.vni), 'everybody in the tenant');
    }
  });
});

interface SilentContainer {
  readonly netns: string;
  readonly address: string;
}

/** A container without IPv6, whose kernel never speaks first: IPv6 looks for duplicates of its addresses, and says which groups it is in. */
async function attachSilent(t: Test, lab: Lab, { node, address }: { readonly node: number; readonly address: string }): Promise<SilentContainer> {
  const ipam = { type: 'weft', ranges: [[{ subnet: '10.1.1.0/24', rangeStart: address, rangeEnd: address }]] };
  const netns = lab.container(address.replaceAll('.', '-'));
  for (const which of ['all', 'default']) runIn(netns, 'sysctl', '-qw', `net.ipv6.conf.${which}.disable_ipv6=1`);
  const attach = { conf: evpnConf(lab, { ...blue, extra: { ipam } }, node), containerId: `silent-${address}`, netns };
  t.teardown(async () => void (await lab.node(node).del(attach)));
  const outcome = await lab.node(node).add(attach);
  if (outcome.exitCode !== 0) throw new Error(`ADD of ${attach.containerId} failed: ${describeOutcome(outcome)}`);
  return { netns, address };
}

/** How many frames a container has sent since it was made, by its kernel's count. */
function framesSent(netns: string): number {
  const [link] = ipJson<readonly { readonly stats64: { readonly tx: { readonly packets: number } } }[]>(netns, '-s', 'link', 'show', 'dev', 'eth0');
  return link?.stats64.tx.packets ?? NaN;
}

/** Listens at every port of the underlay. @returns what tells the questions that have gone over it so far, and how many VXLAN frames there were */
async function listenToUnderlay(t: Test, lab: Lab): Promise<() => Promise<{ readonly asked: readonly Question[]; readonly frames: number }>> {
  const captures = await Promise.all(lab.nodes.map((_node, index) => startCapture(t, lab.underlayNetns, `port${index + 1}`)));
  return async () => {
    for (const capture of captures) await capture.drain();
    const carried = captures.flatMap(({ frames }) => frames).map(carriedBy).filter((carried) => carried !== undefined);
    return { asked: carried.flatMap(({ question }) => question ?? []), frames: carried.length };
  };
}
