/** Where frames for MACs elsewhere go: what nobody knows, what the switch has learned, and what a control plane says. */
import t from 'tap';
import { parseAddress, parseMac, parseVni } from '../../../netaddr/netaddr.ts';
import { listFlows } from '../../../openflow/openflow.ts';
import type { Capture } from '../../../testing/capture.ts';
import type { TeardownScope } from '../../../testing/netns.ts';
import { openVSwitchTools } from '../../../testing/openvswitch.ts';
import { skipUnless } from '../../../testing/requirements.ts';
import { flowsOf, remoteFlows, type TenantNetwork } from './flows.ts';
import { addressOption, arp, broadcast, discoveryBody, frame, icmp6, udp4 } from './test-frames.ts';
import { captureAt, createHub, createSwitchNode, type Container, type SwitchNode } from './test-nodes.ts';

t.setTimeout(120_000);
const skip = skipUnless({ root: true, tools: [...openVSwitchTools, 'bridge', 'nft', 'tcpdump'] });
const blue = parseVni(1001);

/** Three nodes; on the first is who sends, and somebody who must not notice. */
interface Scene {
  readonly nodes: readonly [SwitchNode, SwitchNode, SwitchNode];
  readonly networks: readonly [TenantNetwork, TenantNetwork, TenantNetwork];
  readonly sender: Container;
  readonly bystander: Container;
  readonly inBystander: Capture;
  /** Of the second and the third node. */
  readonly underlays: readonly [Capture, Capture];
}

async function createScene(scope: TeardownScope, family: 4 | 6 = 4): Promise<Scene> {
  const hub = createHub(scope, family);
  const nodes = [await createSwitchNode(scope, hub, 1), await createSwitchNode(scope, hub, 2), await createSwitchNode(scope, hub, 3)] as const;
  const networkOf = (node: SwitchNode): Promise<TenantNetwork> => node.addTenant(blue, nodes.filter((other) => other !== node).map(({ vtep }) => vtep));
  const networks = [await networkOf(nodes[0]), await networkOf(nodes[1]), await networkOf(nodes[2])] as const;
  const [sender, bystander] = [await nodes[0].attach(networks[0], { number: 1 }), await nodes[0].attach(networks[0], { number: 2 })];
  return { nodes, networks, sender, bystander, inBystander: await captureAt(scope, bystander), underlays: [await nodes[1].captureUnderlay(scope), await nodes[2].captureUnderlay(scope)] };
}

/** To how many of the two nodes elsewhere a frame of the sender goes, each as its number of copies. */
async function whereTo({ sender, nodes, underlays }: Scene, to: Container['port']['mac'], marker: string): Promise<readonly number[]> {
  nodes[0].settle();
  // To an address of nobody's: a refusal would have the receiver's kernel ask for the sender, and the switch learn from that.
  sender.send(frame({ to, from: sender.port.mac }, 0x0800, udp4('10.0.0.1', '10.0.0.77'), marker));
  // A frame to all comes behind it, to both.
  sender.send(frame({ to: broadcast, from: sender.port.mac }, 0x0800, udp4('10.0.0.1', '10.0.0.255'), `after ${marker.toUpperCase()}`));
  for (const capture of underlays) {
    await capture.waitFor(() => capture.count(`after ${marker.toUpperCase()}`) > 0, 10_000);
    await capture.drain();
  }
  return underlays.map((capture) => capture.count(marker));
}

const announcements = {
  ARP: ({ port: { mac } }: Container, marker: string) => frame({ to: broadcast, from: mac }, 0x0806, arp({ operation: 1, senderMac: mac, senderAddress: '10.0.0.7', targetAddress: '10.0.0.7' }), marker),
  RARP: ({ port: { mac } }: Container, marker: string) => frame({ to: broadcast, from: mac }, 0x8035, arp({ operation: 3, senderMac: mac, senderAddress: '0.0.0.0', targetAddress: '0.0.0.0' }), marker),
  'a neighbour advertisement': ({ port: { mac } }: Container, marker: string) =>
    frame({ to: parseMac('33:33:00:00:00:01'), from: mac }, 0x86dd, icmp6('fd00::7', 'ff02::1', { type: 136, body: discoveryBody('fd00::7', addressOption(2, mac)) }), marker),
  'a neighbour solicitation': ({ port: { mac } }: Container, marker: string) =>
    frame({ to: parseMac('33:33:ff:00:00:99'), from: mac }, 0x86dd, icmp6('fd00::7', 'ff02::1:ff00:99', { type: 135, body: discoveryBody('fd00::99', addressOption(1, mac)) }), marker),
} as const;

for (const family of [4, 6] as const) {
  void t.test(`the switch learns where a MAC is, and follows it, over IPv${family}`, { skip }, async (t) => {
    const scene = await createScene(t, family);
    const { nodes, networks, inBystander } = scene;
    const here = await nodes[1].attach(networks[1], { number: 7 });
    t.same(await whereTo(scene, here.port.mac, 'unknown'), [1, 1], 'a MAC nobody knows: to every peer');

    const there = await nodes[2].attach(networks[2], { number: 7 });
    let round = 0;
    for (const [name, frameOf] of Object.entries(announcements)) {
      for (const [place, container, expected] of [['one node', here, [1, 0]], ['the other', there, [0, 1]]] as const) {
        round += 1;
        const marker = `say ${round}.`;
        container.send(frameOf(container, marker));
        t.ok(await inBystander.waitFor(() => inBystander.count(marker) > 0, 10_000));
        t.same(await whereTo(scene, container.port.mac, `round ${round}.`), expected, `${name} from ${place}`);
      }
    }

    here.send(frame({ to: broadcast, from: here.port.mac }, 0x0800, udp4('10.0.0.7', '10.0.0.255'), 'old data'));
    t.ok(await inBystander.waitFor(() => inBystander.count('old data') > 0, 10_000));
    t.same(await whereTo(scene, here.port.mac, 'steady'), [0, 1], 'data does not take it back');
    await inBystander.drain();
    t.equal(['unknown', 'round', 'steady'].reduce((sum, marker) => sum + inBystander.count(marker), 0), 0, 'none of it came to another container');
    t.equal((await listFlows(nodes[0].connection, flowsOf({ kind: 'learned', vni: blue }))).length, 1);
  });

  void t.test(`what a control plane says stands above what was learned, over IPv${family}`, { skip }, async (t) => {
    const scene = await createScene(t, family);
    const { nodes, networks, inBystander, sender, underlays } = scene;
    const there = await nodes[2].attach(networks[2], { number: 7 });
    await nodes[0].add(remoteFlows(networks[0], { mac: there.port.mac, addresses: [parseAddress('10.0.0.7'), parseAddress('fd00::7')], vtep: nodes[1].vtep }));
    there.send(announcements.RARP(there, 'say'));
    t.ok(await inBystander.waitFor(() => inBystander.count('say') > 0, 10_000));
    t.same(await whereTo(scene, there.port.mac, 'programmed'), [1, 0]);

    const solicits = (target: string, marker: string): Buffer =>
      frame({ to: parseMac('33:33:ff:00:00:07'), from: sender.port.mac }, 0x86dd, icmp6('fd00::1', 'ff02::1:ff00:7', { type: 135, body: discoveryBody(target, addressOption(1, sender.port.mac)) }), marker);
    sender.send(solicits('fd00::7', 'asks'), solicits('fe80::ff:fe00:7', 'asks'), solicits('fd00::77', 'unheard of'));
    for (const capture of underlays) {
      t.ok(await capture.waitFor(() => capture.count('unheard of') === 1, 10_000), 'an unknown address is asked of all');
      await capture.drain();
    }
    t.same(underlays.map((capture) => capture.count('asks')), [2, 0], 'a known one of its owner');

    const inSender = await captureAt(t, sender);
    sender.send(frame({ to: broadcast, from: sender.port.mac }, 0x0806, arp({ operation: 1, senderMac: sender.port.mac, senderAddress: '10.0.0.1', targetAddress: '10.0.0.7' }), 'who has'));
    const answer = `${'020000000001'}${there.port.mac.replaceAll(':', '')}08060001080006040002${there.port.mac.replaceAll(':', '')}0a000007${'020000000001'}0a000001`;
    t.ok(await inSender.waitFor(() => inSender.count(Buffer.from(answer, 'hex')) === 1, 10_000), 'ARP is answered in its place');
    t.same(await whereTo(scene, there.port.mac, 'later'), [1, 0]);
    t.same(underlays.map((capture) => capture.count('who has')), [0, 0], 'and nobody was asked');
    await inBystander.drain();
    t.equal(inBystander.count('asks') + inBystander.count('who has'), 0);
  });
}

void t.test('nothing goes from tunnel to tunnel', { skip }, async (t) => {
  const { nodes: [, second], networks: [, blue2], underlays: [, inThird], inBystander } = await createScene(t);
  const far = await second.attach(blue2, { number: 7 });
  // For a MAC the second node does not know, so that the first and the third get it; neither has it.
  far.send(frame({ to: parseMac('02:00:00:00:00:63'), from: far.port.mac }, 0x0800, udp4('10.0.0.7', '10.0.0.99'), 'homeless'));
  far.send(announcements.RARP(far, 'after it'));
  t.ok(await inBystander.waitFor(() => inBystander.count('after it') === 1, 10_000));
  t.ok(await inThird.waitFor(() => inThird.count('after it') === 1, 10_000));
  await inThird.drain();
  t.same([inThird.count('homeless'), inThird.count('after it')], [1, 1], 'once, from where it was sent');
});
