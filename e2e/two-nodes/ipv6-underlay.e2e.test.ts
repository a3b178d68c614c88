import t from 'tap';
import { ping } from '../harness/container.ts';
import { readAttachment, readSegment, readTenant } from '../harness/kernel-view.ts';
import { createLabOf } from '../harness/lab.ts';
import { pairs } from '../harness/layouts.ts';
import { describeFaults, measureReach } from '../harness/reach.ts';
import { attachGuest, blue, red } from '../harness/tenant.ts';
import { skipWithoutLabOf } from '../harness/weft-executable.ts';

t.setTimeout(120_000);

/** 1500 less 70: inner Ethernet 14, VXLAN 8, UDP 8, IPv6 40 (RFC 7348 §5, RFC 8200 §3). */
const overlayMtu = 1430;

for (const { title, datapaths } of pairs) {
  t.test(`two tenants over an IPv6 underlay: ${title}`, { skip: skipWithoutLabOf(datapaths, 'tcpdump') }, async (t) => {
    const lab = await createLabOf(t, datapaths);
    const before = lab.nodes.map((node) => node.snapshot());
    const [blueOver6, redOver6] = [{ ...blue, underlay: 6 } as const, { ...red, underlay: 6 } as const];
    const blue1 = await attachGuest(lab, blueOver6, 1, { label: 'blue-1' });
    const blue2 = await attachGuest(lab, blueOver6, 2, { label: 'blue-2' });
    const red1 = await attachGuest(lab, redOver6, 1, { label: 'red-1' });
    const red2 = await attachGuest(lab, redOver6, 2, { label: 'red-2' });
    const guests = [blue1, blue2, red1, red2];
    await lab.settle();

    await t.test('members reach each other, others nothing', async (t) => {
      t.same(describeFaults(await measureReach(t, guests.map(({ participant }) => participant))), []);
    });

    await t.test('full-size packets pass with DF, larger ones do not', async (t) => {
      for (const { address, headerBytes } of [{ address: blue2.participant.ipv4, headerBytes: 28 }, { address: blue2.participant.ipv6, headerBytes: 48 }]) {
        t.equal(await ping(blue1.netns, address, { size: overlayMtu - headerBytes, df: true }), 1, `${overlayMtu} bytes to ${address}`);
        t.equal(await ping(blue1.netns, address, { size: overlayMtu + 1 - headerBytes, df: true }), 0, `${overlayMtu + 1} bytes to ${address}`);
      }
    });

    await t.test('the nodes hold what they should', async (t) => {
      const [node1, node2] = [lab.node(1), lab.node(2)];
      t.same(readTenant(node1, 1001), { local: node1.ipv6, port: 4789, peers: [node2.ipv6] });
      if (node1.datapath === 'bridge') t.equal(readSegment(node1.netns, 1001).vxlanMtu, 1500);
      for (const guest of guests) t.match(readAttachment(guest), { containerMtu: overlayMtu, hostMtu: overlayMtu });
    });

    await t.test('nothing is left after the last DEL', async (t) => {
      for (const guest of guests) await lab.detach(guest);
      t.same(lab.nodes.map((node) => node.snapshot()), before);
    });
  });
}
