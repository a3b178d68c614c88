/** Two tenants with equal subnets, spread by BGP EVPN: who reaches whom, with every node a neighbour of every other, and with a route reflector. */
import t, { type Test } from 'tap';
import { describeFaults, measureReach } from '../harness/reach.ts';
import { blue, red } from '../harness/tenant.ts';
import { reflected } from './reflector.ts';
import { attachEvpnGuest, createEvpnScene, eventually, neighboursOf, remotesOf, sessionsOf, skipWithoutEvpnLab, type EvpnGuest, type EvpnNode, type EvpnScene, type SceneOptions } from './scene.ts';

const skip = skipWithoutEvpnLab('tcpdump');
t.setTimeout(120_000);

const tenants = [blue, red];
const layouts: readonly { readonly title: string; readonly options: SceneOptions; readonly sessions: number }[] = [
  { title: 'a full mesh', options: { nodes: 3 }, sessions: 2 },
  { title: 'a route reflector on a node without weft', options: reflected(3), sessions: 1 },
];

for (const { title, options, sessions } of layouts) {
  t.test(`two tenants on three nodes: ${title}`, { skip }, async (t) => {
    const scene = await createEvpnScene(t, options);
    const linksOf = ({ node }: EvpnNode): readonly string[] => node.snapshot().links;
    const before = scene.nodes.map(linksOf);
    const guests = await attachAll(scene);
    for (const one of scene.nodes) t.equal(Object.keys(sessionsOf(one)).length, sessions, `sessions of ${one.node.name}`);

    await t.test("every node's kernel knows all of a tenant's endpoints, and no other's", async (t) => checkTables(t, scene, guests));

    await t.test('members reach each other, others nothing', async (t) => {
      t.same(describeFaults(await measureReach(t, guests.map(({ participant }) => participant))), []);
    });

    await t.test('nothing is left of a tenant after its last DEL', async (t) => {
      for (const guest of guests) await scene.lab.detach(guest);
      t.same(scene.nodes.map(linksOf), before);
    });
  });
}

/** One container of each tenant on every node; both tenants' have the same addresses. */
async function attachAll({ lab, nodes }: EvpnScene): Promise<readonly EvpnGuest[]> {
  const guests: EvpnGuest[] = [];
  for (const tenant of tenants) {
    for (const [index] of nodes.entries()) guests.push(await attachEvpnGuest(lab, tenant, { node: index + 1, label: `${tenant.name}-${index + 1}` }));
  }
  await lab.settle();
  return guests;
}

async function checkTables(t: Test, { nodes }: EvpnScene, guests: readonly EvpnGuest[]): Promise<void> {
  for (const one of nodes) {
    for (const { name, vni } of tenants) {
      const others = guests.filter(({ node, participant }) => participant.tenant === name && node !== one.node);
      const expected = others.map(({ mac, node }) => `${mac} at ${node.ipv4}`).sort();
      await eventually(`${one.node.name} knows ${expected.join(', ')} of ${name}`, () => remotesOf(one, vni).join() === expected.join(), () => remotesOf(one, vni).join('\n'));
      const addresses = others.flatMap(({ participant: { ipv4, ipv6 }, mac }) => [`${ipv4} ${mac}`, `${ipv6} ${mac}`]).sort();
      t.same(neighboursOf(one, `weft-br${vni}`).filter(({ extern_learn: learnt }) => learnt !== undefined).map(({ dst, lladdr }) => `${dst} ${lladdr}`).sort(), addresses, `${one.node.name}, neighbours in ${name}`);
    }
  }
}
