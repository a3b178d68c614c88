/** A node that no weft runs on joins a tenant, with FRR and the kernel alone, and leaves it again. */
import t, { type Test } from 'tap';
import type { ObservedFdbEntry } from '../../pkg/testing/observe.ts';
import { describeFaults, measureReach } from '../harness/reach.ts';
import { blue, red } from '../harness/tenant.ts';
import { foreignConf, join, leave, type ForeignHost } from './foreign.ts';
import { attachEvpnGuest, createEvpnScene, eventually, fdbOf, floodListOf, fullMesh, reached, remotesOf, skipWithoutEvpnLab, type EvpnGuest, type EvpnScene, type PlainNode } from './scene.ts';

const skip = skipWithoutEvpnLab('tcpdump');
t.setTimeout(120_000);

/** How long what a lost peer had is kept: shorter than anybody would have it, for the test does not want to wait. */
const retainSeconds = 3;

t.test('an FRR and kernel VTEP set up by hand is one of the tenant', { skip }, async (t) => {
  const scene = await createEvpnScene(t, { nodes: 2, plain: [foreignConf], controlPlane: (node, lab) => [...fullMesh(node, lab), `retainSeconds: ${retainSeconds}`] });
  const { lab, nodes, plain: [foreign] } = scene;
  if (foreign === undefined) return;
  const guests: EvpnGuest[] = [];
  for (const tenant of [blue, red]) for (const node of [1, 2]) guests.push(await attachEvpnGuest(lab, tenant, { node, label: `${tenant.name}-${node}` }));
  await lab.settle();
  const members = guests.filter(({ participant }) => participant.tenant === blue.name);

  for (const time of ['first', 'second']) {
    const host = join(t, foreign, blue);
    await t.test(`it joins, for the ${time} time`, async (t) => checkMembership(t, { scene, foreign, host, members }));
    await t.test('traffic goes both ways, and none between tenants', async (t) => {
      t.same(describeFaults(await measureReach(t, [host.participant, ...guests.map(({ participant }) => participant)])), []);
    });
    leave(foreign, blue);
    await t.test('it leaves', async (t) => {
      for (const one of nodes) {
        await eventually(`${one.node.name} has nothing of it`, () => tracesOf(one, foreign, host).length === 0, () => [...tracesOf(one, foreign, host), one.daemon.describe()].join('\n'));
        t.equal(remotesOf(one, blue.vni).length, 1, 'the other node stays');
      }
      t.same(describeFaults(await measureReach(t, guests.map(({ participant }) => participant))), [], 'and nobody else notices');
    });
  }
});

interface Membership {
  readonly scene: EvpnScene;
  readonly foreign: PlainNode;
  readonly host: ForeignHost;
  readonly members: readonly EvpnGuest[];
}

/** Both sides know each other's VTEPs; the foreign one knows the containers without having heard of them, and the nodes its machine once it has spoken. */
async function checkMembership(t: Test, { scene: { nodes }, foreign, host, members }: Membership): Promise<void> {
  const { netns } = host.participant;
  const macs = members.map(({ mac, node }) => `${mac} at ${node.ipv4}`).sort();
  const foreignRemotes = (): readonly string[] => fdbOf(foreign, `vx${blue.vni}`).filter(({ dst, mac }) => dst !== undefined && !mac.startsWith('00:00')).map(({ mac, dst }) => `${mac} at ${dst}`).sort();
  await eventually(`the foreign node knows ${macs.join(', ')}`, () => foreignRemotes().join() === macs.join(), () => foreignRemotes().join('\n'));
  for (const one of nodes) await eventually(`${one.node.name} sends what it has no entry for to ${foreign.node.ipv4}`, () => floodListOf(one, blue.vni).includes(foreign.node.ipv4));
  for (const { participant: { ipv4, ipv6 } } of members) for (const address of [ipv4, ipv6]) await reached(netns, address);
  for (const one of nodes) await eventually(`${one.node.name} has ${host.mac} there`, () => remotesOf(one, blue.vni).includes(`${host.mac} at ${foreign.node.ipv4}`), () => remotesOf(one, blue.vni).join('\n'));
  t.pass('both sides know each other');
}

/** Whatever a node has of the foreign VTEP, but what its kernel has learnt by itself and will forget by itself: MACs that the foreign bridge speaks with. */
function tracesOf(one: PlainNode, { node }: PlainNode, { mac }: ForeignHost): readonly string[] {
  const entries = ['br', 'vx', 'sp'].flatMap((kind) => fdbOf(one, `weft-${kind}${blue.vni}`));
  const isKept = ({ flags = [], state }: ObservedFdbEntry): boolean => flags.includes('extern_learn') || state === 'permanent';
  return entries.filter((entry) => entry.mac === mac || (entry.dst === node.ipv4 && isKept(entry))).map((entry) => JSON.stringify(entry));
}
