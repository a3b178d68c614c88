/** Geneve in VXLAN's place, which only switches speak. */
import t from 'tap';
import { startCapture } from '../../pkg/testing/capture.ts';
import { ping } from '../harness/container.ts';
import { readAttachment, readTenant } from '../harness/kernel-view.ts';
import { createLabOf } from '../harness/lab.ts';
import { readTunnel } from '../harness/node-switch.ts';
import { describeFaults, measureReach } from '../harness/reach.ts';
import { attachGuest, blue, red, tenantConf, type Guest, type Tenant } from '../harness/tenant.ts';
import { skipWithoutLabOf } from '../harness/weft-executable.ts';
import { startReceiver, transfer } from './transfer.ts';

t.setTimeout(60_000);
const skip = skipWithoutLabOf(['ovs'], 'tcpdump', 'python3');
const extra = { encapsulation: 'geneve' };
const ports = { vxlan: 4789, geneve: 6081 } as const;

for (const { underlay, mtu } of [{ underlay: 4, mtu: 1450 }, { underlay: 6, mtu: 1430 }] as const) {
  t.test(`a tenant over Geneve beside one over VXLAN, IPv${underlay}`, { skip }, async (t) => {
    const lab = await createLabOf(t, ['ovs', 'ovs']);
    const before = lab.nodes.map((node) => node.snapshot());
    const guestOn = (tenant: Tenant, node: number): Promise<Guest> => attachGuest(lab, { ...tenant, underlay }, node, { label: `${tenant.name}-${node}` });
    const overGeneve = { ...blue, extra };
    const [blue1, blue2, red1, red2] = [await guestOn(overGeneve, 1), await guestOn(overGeneve, 2), await guestOn(red, 1), await guestOn(red, 2)];
    const guests = [blue1, blue2, red1, red2];
    await lab.settle();
    const node = lab.node(1);
    t.match(readTunnel(node.openVSwitch, blue.vni), { type: 'geneve', port: ports.geneve });
    t.match(readTunnel(node.openVSwitch, red.vni), { type: 'vxlan', port: ports.vxlan });
    t.same(describeFaults(await measureReach(t, guests.map(({ participant }) => participant))), []);

    t.match(readAttachment(blue1), { containerMtu: mtu, hostMtu: mtu });
    t.equal(await ping(blue1.netns, blue2.participant.ipv4, { size: mtu - 28, df: true }), 1, `${mtu} bytes`);
    await startReceiver(t, blue2.netns);
    for (const address of [blue2.participant.ipv4, blue2.participant.ipv6]) t.equal(await transfer(blue1.netns, address), 'whole', `1 MiB to ${address}`);

    const capture = await startCapture(t, lab.underlayNetns, 'br0');
    await ping(blue1.netns, blue2.participant.ipv4, { marker: 'in-geneve' });
    await ping(red1.netns, red2.participant.ipv4, { marker: 'in-vxlan' });
    await capture.drain();
    const udpPort = underlay === 4 ? 14 + 20 + 2 : 14 + 40 + 2;
    const portsOf = (marker: string): readonly number[] => [...new Set(capture.frames.filter((frame) => frame.includes(marker)).map((frame) => frame.readUInt16BE(udpPort)))];
    t.same([portsOf('in-geneve'), portsOf('in-vxlan')], [[ports.geneve], [ports.vxlan]], 'on the underlay');

    for (const guest of guests) await lab.detach(guest);
    t.same(lab.nodes.map((each) => each.snapshot()), before, 'nothing is left');
  });
}

t.test('Geneve on a node with Linux bridges is refused before anything is made', { skip }, async (t) => {
  const lab = await createLabOf(t, ['bridge']);
  const node = lab.node(1);
  const before = node.snapshot();
  const outcome = await node.add({ conf: tenantConf(lab, { ...blue, extra }, 1), netns: lab.container('one'), containerId: 'one' });
  t.match(outcome, { exitCode: 1, error: { code: 7, msg: /encapsulation "geneve" needs datapath "ovs"/ } });
  t.same(node.snapshot(), before);
  t.equal(readTenant(node, blue.vni), undefined);
});
