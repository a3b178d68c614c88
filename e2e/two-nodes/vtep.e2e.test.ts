import t from 'tap';
import { ping } from '../harness/container.ts';
import { readAttachment, readSegment } from '../harness/kernel-view.ts';
import { createLab, type Lab } from '../harness/lab.ts';
import { attachGuest, blue, type Guest } from '../harness/tenant.ts';
import type { NetConf } from '../harness/net-conf.ts';
import { skipWithoutLab } from '../harness/weft-executable.ts';

const skip = skipWithoutLab();
t.setTimeout(120_000);

const rows: readonly { readonly title: string; readonly extra: NetConf; readonly port?: number; readonly mtu?: number; readonly underlayMtu?: number }[] = [
  { title: 'the VTEP by interface', extra: { vtep: { interface: 'eth0' } } },
  { title: 'the VTEP by the default route', extra: { vtep: undefined } },
  { title: 'another UDP port', extra: { vtep: { interface: 'eth0', port: 14789 } }, port: 14789 },
  { title: 'an MTU in the configuration', extra: { mtu: 1300 }, mtu: 1300 },
  { title: 'a larger underlay', extra: {}, underlayMtu: 9000, mtu: 8950 },
];

for (const { title, extra, port = 4789, mtu = 1450, underlayMtu = 1500 } of rows) {
  t.test(title, { skip }, async (t) => {
    const lab = createLab(t, { nodes: 2, underlayMtu });
    const [one, two] = await attachPair(lab, extra);
    t.match(readSegment(lab.node(1).netns, 1001), { local: lab.node(1).ipv4, port, vxlanMtu: underlayMtu });
    t.match(readAttachment(one), { containerMtu: mtu, hostMtu: mtu });
    t.equal(await ping(one.netns, two.participant.ipv4, { size: mtu - 28, df: true }), 1, `${mtu} bytes over IPv4`);
    t.equal(await ping(one.netns, two.participant.ipv6, { size: mtu - 48, df: true }), 1, `${mtu} bytes over IPv6`);
  });
}

async function attachPair(lab: Lab, extra: NetConf): Promise<readonly [Guest, Guest]> {
  const tenant = { ...blue, extra };
  const pair = [await attachGuest(lab, tenant, 1, { label: 'blue-1' }), await attachGuest(lab, tenant, 2, { label: 'blue-2' })] as const;
  await lab.settle();
  return pair;
}
