/** Questions for addresses of a node, from it and from elsewhere: who hears them, and who answers. And what a node tells unasked. */
import t from 'tap';
import { parseMac, parseVni, type Mac } from '../../../netaddr/netaddr.ts';
import { load, output } from '../../../openflow/action.ts';
import { listFlows } from '../../../openflow/openflow.ts';
import type { Capture } from '../../../testing/capture.ts';
import { readFdb } from '../../../testing/observe.ts';
import type { TeardownScope } from '../../../testing/netns.ts';
import { openVSwitchTools } from '../../../testing/openvswitch.ts';
import { skipUnless } from '../../../testing/requirements.ts';
import { flowsOf, type TenantNetwork } from './flows.ts';
import { addressOption, arp, broadcast, discoveryBody, frame, icmp6 } from './test-frames.ts';
import { BridgeNode, canPing, captureAt, createHub, createSwitchNode, withoutListenerReports, type Container, type SwitchNode } from './test-nodes.ts';

t.setTimeout(120_000);
const skip = skipUnless({ root: true, tools: [...openVSwitchTools, 'bridge', 'nft', 'ping', 'tcpdump'] });
const blue = parseVni(1001);
const zeros = parseMac('00:00:00:00:00:00');
const types = { arp: 0x0806, ip6: 0x86dd } as const;

/** A switch with three containers, and a Linux bridge with one. */
interface Scene {
  readonly node: SwitchNode;
  readonly network: TenantNetwork;
  readonly peer: BridgeNode;
  readonly asker: Container;
  readonly owner: Container;
  readonly bystander: Container;
  readonly far: Container;
  readonly underlay: Capture;
  readonly capture: Readonly<Record<'asker' | 'owner' | 'bystander' | 'far', Capture>>;
}

async function createScene(scope: TeardownScope): Promise<Scene> {
  const hub = createHub(scope);
  const [node, peer] = [await createSwitchNode(scope, hub, 1), new BridgeNode(scope, hub, 2)];
  const network = await node.addTenant(blue, [peer.vtep]);
  peer.addTenant(blue, [node.vtep]);
  const [asker, owner, bystander] = [await node.attach(network, { number: 1 }), await node.attach(network, { number: 2 }), await node.attach(network, { number: 3 })];
  const far = peer.attach({ vni: blue, number: 4 });
  const capture = { asker: await captureAt(scope, asker), owner: await captureAt(scope, owner), bystander: await captureAt(scope, bystander), far: await captureAt(scope, far) };
  return { node, network, peer, asker, owner, bystander, far, capture, underlay: await node.captureUnderlay(scope) };
}

/** How many frames with the marker each has received. What a container itself sent does not count. */
async function heard({ capture, underlay, asker, owner, bystander, far }: Scene, marker: string | Buffer): Promise<Readonly<Record<string, number>>> {
  for (const one of [...Object.values(capture), underlay]) await one.drain();
  const at = (one: Capture, { port }: Container): number => one.count(marker, { exceptFrom: port.mac });
  return { asker: at(capture.asker, asker), owner: at(capture.owner, owner), bystander: at(capture.bystander, bystander), far: at(capture.far, far), underlay: underlay.count(marker) };
}

function hex(mac: Mac): string {
  return mac.replaceAll(':', '');
}

/** An ARP reply that says who has the address, to whoever asked. */
function replyOf(mac: Mac, address: string, to: { readonly mac: Mac; readonly address: string }): Buffer {
  return Buffer.from(`${hex(to.mac)}${hex(mac)}08060001080006040002${hex(mac)}${address}${hex(to.mac)}${to.address}`, 'hex');
}

/** What is asked, and of whom: by default of all. */
interface Question {
  readonly from: string;
  readonly target: string;
  readonly to?: Mac;
}

function asksArp({ port: { mac } }: Container, { from, target, to = broadcast }: Question, marker: string): Buffer {
  return frame({ to, from: mac }, types.arp, arp({ operation: 1, senderMac: mac, senderAddress: from, targetAddress: target }), marker);
}

function solicits({ port: { mac } }: Container, { from, target }: Question, marker: string): Buffer {
  // Inside of the message, for a Linux bridge may cut off what is behind it: as an option nobody knows (RFC 4727 §5.1.3).
  const markerOption = Buffer.concat([Uint8Array.of(253, 2), Buffer.from(marker.padEnd(14))]);
  const options = from === '::' ? [markerOption] : [addressOption(1, mac), markerOption];
  return frame({ to: parseMac('33:33:ff:00:00:02'), from: mac }, types.ip6, icmp6(from, 'ff02::1:ff00:2', { type: 135, body: discoveryBody(target, ...options) }), '');
}

void t.test('questions from this node that one can answer', { skip }, async (t) => {
  const scene = await createScene(t);
  const { asker, owner, capture, underlay } = scene;
  const reply = replyOf(owner.port.mac, '0a000002', { mac: asker.port.mac, address: '0a000001' });

  await t.test('ARP for an address of this node is answered by the switch', async (t) => {
    asker.send(asksArp(asker, { from: '10.0.0.1', target: '10.0.0.2' }, 'who has'), asksArp(asker, { from: '10.0.0.1', target: '10.0.0.2', to: owner.port.mac }, 'are you there'));
    t.ok(await capture.asker.waitFor(() => capture.asker.count(reply) === 2, 10_000), 'to all and to the owner alike');
    // The answer is the question turned round, with all that hangs on it.
    t.same(await heard(scene, 'who has'), { asker: 1, owner: 0, bystander: 0, far: 0, underlay: 0 });
    t.same(await heard(scene, 'are you there'), { asker: 1, owner: 0, bystander: 0, far: 0, underlay: 0 });
    t.ok(canPing(asker, '10.0.0.2'));
    await underlay.drain();
    t.same(withoutListenerReports(underlay), [], 'nothing at all went through the tunnel');
  });

  await t.test('a probe for an address that is taken is answered', async (t) => {
    asker.send(asksArp(asker, { from: '0.0.0.0', target: '10.0.0.2' }, 'is it free'));
    t.ok(await capture.asker.waitFor(() => capture.asker.count(replyOf(owner.port.mac, '0a000002', { mac: asker.port.mac, address: '00000000' })) === 1, 10_000));
    t.same(await heard(scene, 'is it free'), { asker: 1, owner: 0, bystander: 0, far: 0, underlay: 0 });
  });

  await t.test('a solicitation goes to the owner alone', async (t) => {
    asker.send(solicits(asker, { from: 'fd00::1', target: 'fd00::2' }, 'neighbour?'), solicits(asker, { from: 'fd00::1', target: 'fe80::ff:fe00:2' }, 'link-local?'));
    for (const marker of ['neighbour?', 'link-local?']) {
      t.ok(await capture.owner.waitFor(() => capture.owner.count(marker) > 0, 10_000));
      t.same(await heard(scene, marker), { asker: 0, owner: 1, bystander: 0, far: 0, underlay: 0 });
    }
  });
});

void t.test('what from this node is for all', { skip }, async (t) => {
  const scene = await createScene(t);
  const { asker, owner, capture } = scene;

  await t.test('what the owner itself says goes to all, and is not answered', async (t) => {
    const says = [asksArp(owner, { from: '0.0.0.0', target: '10.0.0.2' }, 'I probe'), asksArp(owner, { from: '10.0.0.2', target: '10.0.0.2' }, 'I announce'), solicits(owner, { from: '::', target: 'fd00::2' }, 'I detect')];
    owner.send(...says);
    for (const marker of ['I probe', 'I announce', 'I detect']) {
      t.ok(await capture.far.waitFor(() => capture.far.count(marker) > 0, 10_000));
      t.same(await heard(scene, marker), { asker: 1, owner: 0, bystander: 1, far: 1, underlay: 1 }, marker);
    }
    t.equal(capture.owner.count(Buffer.from(`${hex(owner.port.mac)}0806`, 'hex'), { exceptFrom: owner.port.mac }), 0, 'no reply');
  });

  await t.test('a question for an address nobody knows goes to all', async (t) => {
    asker.send(asksArp(asker, { from: '10.0.0.1', target: '10.0.0.99' }, 'unknown'), solicits(asker, { from: 'fd00::1', target: 'fd00::99' }, 'unheard of'));
    for (const marker of ['unknown', 'unheard of']) {
      t.ok(await capture.far.waitFor(() => capture.far.count(marker) > 0, 10_000));
      t.same(await heard(scene, marker), { asker: 0, owner: 1, bystander: 1, far: 1, underlay: 1 });
    }
  });
});

void t.test('questions through the tunnel go to the owner alone, who answers', { skip }, async (t) => {
  const scene = await createScene(t);
  const { owner, far, capture } = scene;
  far.send(asksArp(far, { from: '10.0.0.4', target: '10.0.0.2' }, 'who has'), solicits(far, { from: 'fd00::4', target: 'fd00::2' }, 'neighbour?'), asksArp(far, { from: '10.0.0.4', target: '10.0.0.99' }, 'unknown'));
  t.ok(await capture.far.waitFor(() => capture.far.count(replyOf(owner.port.mac, '0a000002', { mac: far.port.mac, address: '0a000004' })) === 1, 10_000));
  t.ok(await capture.owner.waitFor(() => capture.owner.count('unknown') > 0, 10_000));
  for (const marker of ['who has', 'neighbour?']) t.same(await heard(scene, marker), { asker: 0, owner: 1, bystander: 0, far: 0, underlay: 1 });
  t.same(await heard(scene, 'unknown'), { asker: 1, owner: 1, bystander: 1, far: 0, underlay: 1 });
});

void t.test('a new container is announced', { skip }, async (t) => {
  const hub = createHub(t);
  const [node, other, peer] = [await createSwitchNode(t, hub, 1), await createSwitchNode(t, hub, 2), new BridgeNode(t, hub, 3)];
  const network = await node.addTenant(blue, [other.vtep, peer.vtep]);
  const there = await other.addTenant(blue, [node.vtep, peer.vtep]);
  peer.addTenant(blue, [node.vtep, other.vtep]);
  const near = await node.attach(network, { number: 2 });
  const [inNear, inOther, inPeer] = [await captureAt(t, near), await captureAt(t, await other.attach(there, { number: 3 })), await captureAt(t, peer.attach({ vni: blue, number: 4 }))];
  const fresh = await node.attach(network, { number: 1 });
  const inFresh = await captureAt(t, fresh);
  await node.announce(network, fresh);

  const announcement = Buffer.from(`ffffffffffff${hex(fresh.port.mac)}08060001080006040001${hex(fresh.port.mac)}0a000001${hex(zeros)}0a000001`, 'hex');
  const advertisement = Buffer.from(`333300000001${hex(fresh.port.mac)}86dd`, 'hex');
  for (const [name, capture] of [['this node', inNear], ['another switch', inOther], ['a Linux bridge', inPeer]] as const) {
    t.ok(await capture.waitFor(() => capture.count(announcement) === 1 && capture.count(advertisement) === 1, 10_000), `its neighbours on ${name} know its addresses`);
    await capture.drain();
    t.equal(capture.count(Buffer.from(`${hex(fresh.port.mac)}8035`, 'hex')), 0, 'and are not bothered with its location');
  }
  await inFresh.drain();
  t.equal(inFresh.count(announcement) + inFresh.count(advertisement), 0, 'it is not told of itself');
  const learned = await listFlows(other.connection, flowsOf({ kind: 'learned', vni: blue }));
  t.match(learned.filter(({ match }) => match.ethDst === fresh.port.mac), [{ hardTimeoutSeconds: 300, instructions: { apply: [load(node.vtep.value, 'tunnelIpv4Dst'), output(1)] } }], 'a switch knows where it is');
  t.match(readFdb(peer.netns, `vx${blue}`).filter(({ mac, dst }) => mac === fresh.port.mac && dst !== undefined), [{ dst: '192.0.2.1' }], 'and so does a bridge');
});
