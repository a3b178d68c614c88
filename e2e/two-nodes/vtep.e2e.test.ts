import t from 'tap';
import { ping } from '../harness/container.ts';
import { readAttachment, readSegment, readTenant } from '../harness/kernel-view.ts';
import { createLabOf, type Lab } from '../harness/lab.ts';
import { pairs } from '../harness/layouts.ts';
import { attachGuest, blue, type Guest } from '../harness/tenant.ts';
import type { NetConf } from '../harness/net-conf.ts';
import { skipWithoutLabOf } from '../harness/weft-executable.ts';

t.setTimeout(120_000);

const rows: readonly { readonly title: string; readonly extra: (uplink: string) => NetConf; readonly port?: number; readonly mtu?: number; readonly underlayMtu?: number }[] = [
  { title: 'the VTEP by interface', extra: (uplink) => ({ vtep: { interface: uplink } }) },
  { title: 'the VTEP by the default route', extra: () => ({ vtep: undefined }) },
  { title: 'another UDP port', extra: (uplink) => ({ vtep: { interface: uplink, port: 14789 } }), port: 14789 },
  { title: 'an MTU in the configuration', extra: () => ({ mtu: 1300 }), mtu: 1300 },
  { title: 'a larger underlay', extra: () => ({}), underlayMtu: 9000, mtu: 8950 },
];

/** How tenants are wired does not touch how a node finds its VTEP: nodes that differ stand for both orders. */
const layouts = pairs.filter(({ datapaths }) => datapaths.join() !== 'bridge,ovs');

for (const layout of layouts) {
  for (const { title, extra, port = 4789, mtu = 1450, underlayMtu = 1500 } of rows) {
    t.test(`${title}: ${layout.title}`, { skip: skipWithoutLabOf(layout.datapaths) }, async (t) => {
      const lab = await createLabOf(t, layout.datapaths, { underlayMtu });
      const node = lab.node(1);
      const [one, two] = await attachPair(lab, extra);
      t.match(readTenant(node, 1001), { local: node.ipv4, port });
      if (node.datapath === 'bridge') t.equal(readSegment(node.netns, 1001).vxlanMtu, underlayMtu);
      for (const guest of [one, two]) t.match(readAttachment(guest), { containerMtu: mtu, hostMtu: mtu });
      t.equal(await ping(one.netns, two.participant.ipv4, { size: mtu - 28, df: true }), 1, `${mtu} bytes over IPv4`);
      t.equal(await ping(one.netns, two.participant.ipv6, { size: mtu - 48, df: true }), 1, `${mtu} bytes over IPv6`);
    });
  }
}

async function attachPair(lab: Lab, extra: (uplink: string) => NetConf): Promise<readonly [Guest, Guest]> {
  const attachOn = (number: number): Promise<Guest> => attachGuest(lab, { ...blue, extra: extra(lab.node(number).underlayIf) }, number, { label: `blue-${number}` });
  const pair = [await attachOn(1), await attachOn(2)] as const;
  await lab.settle();
  return pair;
}
