/** Tenants with a gateway on the node, masqueraded or not, and tenants without. The "world" is the underlay's own host. */
import t from 'tap';
import { startCapture } from '../../pkg/testing/capture.ts';
import { run } from '../../pkg/testing/command.ts';
import { findLink } from '../../pkg/testing/observe.ts';
import { ping } from '../harness/container.ts';
import { readAttachment } from '../harness/kernel-view.ts';
import { createLabOf, type Lab } from '../harness/lab.ts';
import { pairs } from '../harness/layouts.ts';
import { nodeRanges, type NetConf } from '../harness/net-conf.ts';
import { attachGuest, blue, red, type Guest } from '../harness/tenant.ts';
import { skipWithoutLabOf } from '../harness/weft-executable.ts';

t.setTimeout(120_000);
const world = { ipv4: '10.200.0.1', ipv6: 'fd00:200::1' } as const;

for (const { title, datapaths } of pairs) {
  const skip = skipWithoutLabOf(datapaths, 'tcpdump');

  t.test(`a tenant with a masquerading gateway: ${title}`, { skip }, async (t) => {
    const lab = await createLabOf(t, datapaths);
    const before = lab.nodes.map((node) => node.snapshot());
    const [one, two] = await attachPair(lab, { isGateway: true, ipMasq: true });

    for (const family of ['ipv4', 'ipv6'] as const) {
      t.equal(await ping(one.netns, family === 'ipv4' ? '10.1.1.1' : 'fd00:1::1'), 1, `the gateway answers over ${family}`);
      t.equal(await ping(lab.node(1).netns, one.participant[family]), 1, `the node reaches its container over ${family}`);
      // The world has no route back to the tenant: an answer comes only to a masqueraded packet.
      t.equal(await ping(one.netns, world[family]), 1, `the world answers over ${family}`);
      // Whom it has forgotten the node asks for by itself, in the name of nobody on it: what it forwards is the world's.
      run('ip', ['-n', lab.node(1).netns, 'neigh', 'flush', 'dev', `weft-br${blue.vni}`]);
      t.equal(await ping(one.netns, world[family]), 1, `the node finds its container again over ${family}`);
    }
    t.equal(await ping(one.netns, two.participant.ipv4), 1, 'inside the tenant all is as without a gateway');
    await t.test('each container goes out through its own node', async (t) => {
      const capture = await startCapture(t, lab.underlayNetns, 'br0');
      for (const { netns, participant } of [one, two]) await ping(netns, world.ipv4, { marker: participant.name });
      await capture.drain();
      for (const { participant, node } of [one, two]) {
        const requests = capture.frames.filter((frame) => frame.includes(participant.name) && isEchoRequest(frame));
        t.same([...new Set(requests.map(sourceOf))], [node.ipv4], `${participant.name} is seen as ${node.name}`);
      }
    });
    for (const guest of [one, two]) await lab.detach(guest);
    t.same(lab.nodes.map((node) => node.snapshot()), before, 'nothing is left');
  });

  t.test(`a gateway that does not masquerade: ${title}`, { skip }, async (t) => {
    const lab = await createLabOf(t, datapaths);
    const [one] = await attachPair(lab, { isGateway: true });
    const capture = await startCapture(t, lab.underlayNetns, 'br0');
    t.equal(await ping(one.netns, world.ipv4, { marker: 'unmasked' }), 0, 'the world has no route back');
    await capture.drain();
    t.ok(capture.count('unmasked') > 0, 'but it is reached');
    run('ip', ['-n', lab.underlayNetns, 'route', 'add', `${one.participant.ipv4}/32`, 'via', lab.node(1).ipv4]);
    t.equal(await ping(one.netns, world.ipv4), 1, 'with a route it answers');
  });

  t.test(`a tenant without a gateway: ${title}`, { skip }, async (t) => {
    const lab = await createLabOf(t, datapaths.slice(0, 1));
    const node = lab.node(1);
    const guest = await attachGuest(lab, red, 1, { label: 'red-1' });
    await lab.settle();
    const { ipv4, ipv6 } = guest.participant;
    t.same(await Promise.all([ipv4, ipv6].map((address) => ping(node.netns, address))), [0, 0], 'the node does not reach it');
    t.same(await Promise.all(['10.1.1.1', node.ipv4, world.ipv4].map((address) => ping(guest.netns, address))), [0, 0, 0], 'it reaches nothing outside');
    // Not even with a route and an address that somebody adds by hand: on a switch the host's only interface of the tenant is the port.
    const dev = node.datapath === 'bridge' ? 'weft-br1002' : readAttachment(guest).hostIf ?? '';
    t.equal(findLink(node.netns, 'weft-br1002') !== undefined, node.datapath === 'bridge');
    for (const prefix of [`${ipv4}/32`, `${ipv6}/128`]) run('ip', ['-n', node.netns, 'route', 'add', prefix, 'dev', dev]);
    run('ip', ['-n', node.netns, 'addr', 'add', '10.1.1.1/24', 'dev', dev]);
    t.equal(await ping(node.netns, ipv4), 0, 'not with a route and an address added by hand either');
  });
}

async function attachPair(lab: Lab, extra: NetConf): Promise<readonly [Guest, Guest]> {
  const attachOn = async (number: number): Promise<Guest> => {
    const ipam = { type: 'weft', ranges: nodeRanges(number, {}), routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }] };
    return attachGuest(lab, { ...blue, extra: { ...extra, ipam } }, number, { label: `blue-${number}` });
  };
  const pair = [await attachOn(1), await attachOn(2)] as const;
  await lab.settle();
  return pair;
}

/** ICMP type 8 in an IPv4 packet without options, not inside of VXLAN. */
function isEchoRequest(frame: Buffer): boolean {
  return frame.readUInt16BE(12) === 0x0800 && frame.readUInt8(23) === 1 && frame.readUInt8(34) === 8;
}

/** The IPv4 source address of a frame. */
function sourceOf(frame: Buffer): string {
  return [...frame.subarray(26, 30)].join('.');
}
