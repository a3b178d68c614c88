/** Nodes with the flows, and real packets: who reaches whom, how often, and who never does. */
import t from 'tap';
import { parseMac, parseVni } from '../../../netaddr/netaddr.ts';
import { openVSwitchTools } from '../../../testing/openvswitch.ts';
import { skipUnless } from '../../../testing/requirements.ts';
import { arp, broadcast, frame, udp4, vxlan } from './test-frames.ts';
import { BridgeNode, canPing, captureAt, createHub, createSwitchNode, type Container } from './test-nodes.ts';

t.setTimeout(120_000);
const skip = skipUnless({ root: true, tools: [...openVSwitchTools, 'bridge', 'nft', 'ping', 'tcpdump'] });
const [blue, red] = [parseVni(1001), parseVni(1002)];
const rarpType = 0x8035;

function rarp({ port: { mac } }: Container, marker: string, to = broadcast): Buffer {
  return frame({ to, from: mac }, rarpType, arp({ operation: 3, senderMac: mac, senderAddress: '0.0.0.0', targetAddress: '0.0.0.0' }), marker);
}

for (const family of [4, 6] as const) {
  void t.test(`two switches and a Linux bridge over IPv${family}`, { skip }, async (t) => {
    const hub = createHub(t, family);
    const [first, second, third] = [await createSwitchNode(t, hub, 1), await createSwitchNode(t, hub, 2), new BridgeNode(t, hub, 3)];
    const [blue1, blue2] = [await first.addTenant(blue, [second.vtep, third.vtep]), await second.addTenant(blue, [first.vtep, third.vtep])];
    third.addTenant(blue, [first.vtep, second.vtep]);
    const containers = [await first.attach(blue1, { number: 1 }), await first.attach(blue1, { number: 2 }), await second.attach(blue2, { number: 3 }), third.attach({ vni: blue, number: 4 })];

    await t.test('all reach all', (t) => {
      for (const from of containers) {
        for (const to of containers.filter((other) => other !== from)) {
          const number = Number(to.port.mac.slice(-2));
          t.ok(canPing(from, `10.0.0.${number}`), `${from.port.mac} → ${to.port.mac} by IPv4`);
          t.ok(canPing(from, `fd00::${number}`), `${from.port.mac} → ${to.port.mac} by IPv6`);
        }
      }
      t.end();
    });

    await t.test('broadcast and multicast come to everybody else once', async (t) => {
      const captures = await Promise.all(containers.map((container) => captureAt(t, container)));
      const group = parseMac('01:00:5e:00:00:fb');
      for (const [index, container] of containers.entries()) container.send(rarp(container, `broadcast ${index}`), rarp(container, `multicast ${index}`, group));
      const expected = containers.flatMap((_, from) => [`broadcast ${from}`, `multicast ${from}`].map((marker) => ({ marker, from })));
      for (const [to, capture] of captures.entries()) {
        await capture.waitFor(() => expected.every(({ marker }) => capture.count(marker) > 0), 10_000);
        await capture.drain();
        // Its own it has seen leaving.
        for (const { marker, from } of expected) t.equal(capture.count(marker), 1, `${marker} at ${to}${from === to ? ', on its way out' : ''}`);
      }
    });
  });
}

void t.test('tenants with the same MACs and addresses never meet', { skip }, async (t) => {
  const hub = createHub(t);
  const [first, second] = [await createSwitchNode(t, hub, 1), await createSwitchNode(t, hub, 2)];
  const tenants = [];
  for (const vni of [blue, red]) {
    const [here, there] = [await first.addTenant(vni, [second.vtep]), await second.addTenant(vni, [first.vtep])];
    tenants.push({ here: await first.attach(here, { number: 1 }), near: await first.attach(here, { number: 2 }), far: await second.attach(there, { number: 3 }) });
  }
  const [ofBlue, ofRed] = tenants as [(typeof tenants)[0], (typeof tenants)[0]];
  const captures = await Promise.all([ofBlue.near, ofBlue.far, ofRed.near, ofRed.far].map((container) => captureAt(t, container)));
  for (const [tenant, { here, near, far }] of [['blue', ofBlue], ['red', ofRed]] as const) {
    t.ok(canPing(here, '10.0.0.2') && canPing(here, '10.0.0.3'), `${tenant} reaches its own`);
    for (const to of [near.port.mac, far.port.mac, broadcast]) here.send(frame({ to, from: here.port.mac }, 0x0800, udp4('10.0.0.1', '10.0.0.2'), `of ${tenant}`));
  }
  for (const [index, capture] of captures.entries()) {
    const [own, other] = index < 2 ? ['of blue', 'of red'] : ['of red', 'of blue'];
    t.ok(await capture.waitFor(() => capture.count(own as string) === 2, 10_000), `${own}: to its MAC, and to all`);
    await capture.drain();
    t.equal(capture.count(other as string), 0);
  }

  await t.test('also where one of them sends the other\'s tag, or its VNI in a tunnel of its own making', async (t) => {
    const { here } = ofBlue;
    const inner = frame({ to: ofRed.near.port.mac, from: here.port.mac }, 0x0800, udp4('10.0.0.1', '10.0.0.2'), 'hidden');
    const outer = udp4('10.0.0.1', '192.0.2.1', { port: 4789, payload: vxlan(red, inner) });
    for (const to of ['02:aa:00:00:00:01', '02:aa:00:00:00:02', ofBlue.near.port.mac, ofBlue.far.port.mac]) here.send(frame({ to: parseMac(to), from: here.port.mac }, 0x0800, outer, ''));
    here.send(frame({ to: broadcast, from: here.port.mac }, 0x8100, Buffer.concat([Uint8Array.of(red >> 8, red & 0xff, 8, 0), udp4('10.0.0.1', '10.0.0.2')]), 'hidden'));
    here.send(rarp(here, 'the last'));
    for (const [index, capture] of captures.entries()) {
      if (index < 2) t.ok(await capture.waitFor(() => capture.count('the last') > 0, 10_000));
      await capture.drain();
      t.equal(capture.count('hidden'), index < 2 ? 1 : 0, index < 2 ? 'still in its tunnel, in its own tenant' : 'not in the other');
    }
  });
});

void t.test('out of the tunnel comes what a known VTEP of the tenant sent', { skip }, async (t) => {
  const hub = createHub(t);
  const [node, peer, stranger] = [await createSwitchNode(t, hub, 1), new BridgeNode(t, hub, 2), new BridgeNode(t, hub, 3)];
  const networks = [await node.addTenant(blue, [peer.vtep]), await node.addTenant(red, [stranger.vtep])] as const;
  const captures = [];
  for (const network of networks) captures.push(await captureAt(t, await node.attach(network, { number: 1 })));
  const [inBlue, inRed] = captures as [(typeof captures)[0], (typeof captures)[0]];
  for (const [remote, name] of [[peer, 'peer'], [stranger, 'stranger']] as const) {
    for (const vni of [blue, red]) {
      remote.addTenant(vni, [node.vtep]);
      const container = remote.attach({ vni, number: 9 });
      container.send(rarp(container, `${name} in ${vni}`));
      container.send(frame({ to: broadcast, from: container.port.mac }, 0x8100, Buffer.from('000508060001', 'hex'), `${name} with a tag`));
    }
  }
  t.ok(await inBlue.waitFor(() => inBlue.count('peer in 1001') === 1, 10_000));
  t.ok(await inRed.waitFor(() => inRed.count('stranger in 1002') === 1, 10_000));
  for (const capture of [inBlue, inRed]) await capture.drain();
  t.equal(inBlue.count('stranger in') + inRed.count('peer in'), 0, 'not of a VTEP of another tenant');
  t.equal(inBlue.count('with a tag') + inRed.count('with a tag'), 0, 'and nothing with a tag');
});
