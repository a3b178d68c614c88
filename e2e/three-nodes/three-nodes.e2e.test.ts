import t, { type Test } from 'tap';
import { readTenant, tracesOfTenant } from '../harness/kernel-view.ts';
import { createLabOf, type Lab } from '../harness/lab.ts';
import { triples } from '../harness/layouts.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { ping } from '../harness/container.ts';
import { describeFaults, measureReach } from '../harness/reach.ts';
import { attachGuest, blue, red, type Guest } from '../harness/tenant.ts';
import { skipWithoutLabOf } from '../harness/weft-executable.ts';

t.setTimeout(120_000);

for (const { title, datapaths } of triples) {
  t.test(`two tenants on three nodes: ${title}`, { skip: skipWithoutLabOf(datapaths, 'tcpdump') }, async (t) => {
    const lab = await createLabOf(t, datapaths, { underlayMtu: 1600 });
    const before = lab.nodes.map((node) => node.snapshot());
    const blue1 = await attachGuest(lab, blue, 1, { label: 'blue-1' });
    const blue2 = await attachGuest(lab, blue, 2, { label: 'blue-2' });
    const blue3 = await attachGuest(lab, blue, 3, { label: 'blue-3' });
    const red1 = await attachGuest(lab, red, 1, { label: 'red-1' });
    const red3 = await attachGuest(lab, red, 3, { label: 'red-3' });
    await lab.settle();

    await t.test('members reach each other, others nothing', async (t) => {
      t.same(await faults(t, [blue1, blue2, blue3, red1, red3]), []);
    });

    await t.test('a node exchanges frames with every other one', async (t) => {
      t.same(readTenant(lab.node(2), 1001)?.peers, [lab.node(1).ipv4, lab.node(3).ipv4]);
      t.same(tracesOfTenant(lab.node(2), 1002), [], 'a node without containers of a tenant holds nothing of it');
    });

    await t.test('a node joins the tenant with its first container', async (t) => {
      const red2 = await attachGuest(lab, red, 2, { label: 'red-2' });
      await lab.settle();
      t.same(await faults(t, [red1, red2, red3, blue2]), []);
      await lab.detach(red2);
      t.same(tracesOfTenant(lab.node(2), 1002), []);
    });

    await t.test('packets of 1550 bytes pass between all nodes', async (t) => {
      for (const { participant } of [blue2, blue3]) {
        t.equal(await ping(blue1.netns, participant.ipv4, { size: 1550 - 28, df: true }), 1, participant.name);
      }
    });

    await t.test('an address that moves to another node is found there', async (t) => checkMove(t, lab, blue1));

    await t.test('nothing is left after the last DEL', async (t) => {
      for (const guest of [blue1, blue2, blue3, red1, red3]) await lab.detach(guest);
      t.same(lab.nodes.map((node) => node.snapshot()), before);
    });
  });
}

async function checkMove(t: Test, lab: Lab, observer: Guest): Promise<void> {
  const address = '10.1.1.77';
  const ipam = { type: 'weft', ranges: [[{ subnet: '10.1.1.0/24', rangeStart: address, rangeEnd: address }]] };
  const attachOn = async (node: number): Promise<Guest> => {
    const guest = await attachGuest(lab, { ...blue, extra: { ipam } }, node, { label: `move${node}`, args: `IP=${address}` });
    await lab.settle();
    return guest;
  };
  const first = await attachOn(2);
  t.equal(await ping(observer.netns, address), 1, 'on node 2');
  await lab.detach(first);
  const second = await attachOn(3);
  // The observer's neighbour entry and its node's forwarding entry still name the old place.
  t.equal(await ping(observer.netns, address, { count: 3 }), 3, 'on node 3');
  await lab.detach(second);
}

async function faults(t: TeardownScope, guests: readonly Guest[]): Promise<readonly string[]> {
  return describeFaults(await measureReach(t, guests.map(({ participant }) => participant)));
}
