/** Containers, gateways and nodes exchange data, not only pings: checksums and segments pass each kind of link between them. */
import t from 'tap';
import { createLabOf } from '../harness/lab.ts';
import { pairs } from '../harness/layouts.ts';
import { nodeRanges } from '../harness/net-conf.ts';
import { attachGuest, blue, type Guest } from '../harness/tenant.ts';
import { skipWithoutLabOf } from '../harness/weft-executable.ts';
import { startReceiver, transfer } from './transfer.ts';

t.setTimeout(120_000);
const world = { ipv4: '10.200.0.1', ipv6: 'fd00:200::1' } as const;
const families = ['ipv4', 'ipv6'] as const;

for (const { title, datapaths } of pairs) {
  const skip = skipWithoutLabOf(datapaths, 'python3');

  for (const underlay of [4, 6] as const) {
    t.test(`1 MiB between containers over IPv${underlay}: ${title}`, { skip }, async (t) => {
      const lab = await createLabOf(t, datapaths);
      const guestOn = (node: number, label: string): Promise<Guest> => attachGuest(lab, { ...blue, underlay }, node, { label });
      const [one, near, far] = [await guestOn(1, 'one'), await guestOn(1, 'near'), await guestOn(2, 'far')];
      await lab.settle();
      await Promise.all([one, near, far].map(({ netns }) => startReceiver(t, netns)));
      for (const [from, to] of [[one, near], [one, far], [far, one]] as const) {
        for (const family of families) t.equal(await transfer(from.netns, to.participant[family]), 'whole', `${from.participant.name} to ${to.participant.name} over ${family}`);
      }
    });
  }
}

for (const { title, datapaths } of pairs.filter(({ datapaths: [one, other] }) => one === other)) {
  t.test(`1 MiB through the gateway: ${title}`, { skip: skipWithoutLabOf(datapaths, 'python3') }, async (t) => {
    const lab = await createLabOf(t, datapaths);
    const ipam = { type: 'weft', ranges: nodeRanges(1, {}), routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }] };
    const { netns, node, participant } = await attachGuest(lab, { ...blue, extra: { isGateway: true, ipMasq: true, ipam } }, 1, { label: 'one' });
    await lab.settle();
    await Promise.all([netns, lab.underlayNetns].map((name) => startReceiver(t, name)));
    for (const family of families) {
      t.equal(await transfer(netns, world[family]), 'whole', `out of the tenant over ${family}`);
      t.equal(await transfer(node.netns, participant[family]), 'whole', `from the node over ${family}`);
    }
  });
}
