/** A tenant whose gateway is the node: an interface of the host on the bridge, with the MAC that gateways have on every node. */
import { closeSync } from 'node:fs';
import t from 'tap';
import { parseInterfaceAddress, parseMac, parseVni } from '../../../netaddr/netaddr.ts';
import { gatewayMac } from '../../../overlay/gateway-mac.ts';
import type { Gateway } from '../../../overlay/model.ts';
import { insideNetns, openNetns } from '../../../sys/netns.ts';
import { openPacketSender } from '../../../sys/packet.ts';
import { startCapture } from '../../../testing/capture.ts';
import { runIn } from '../../../testing/command.ts';
import { netnsPath, type TeardownScope } from '../../../testing/netns.ts';
import { findLink } from '../../../testing/observe.ts';
import { openVSwitchTools } from '../../../testing/openvswitch.ts';
import { skipUnless } from '../../../testing/requirements.ts';
import { arp, broadcast, frame, udp4, vxlan } from './test-frames.ts';
import { BridgeNode, canPing, captureAt, createHub, createSwitchNode, vxlanUdpPort, withoutListenerReports, type SwitchNode } from './test-nodes.ts';

t.setTimeout(120_000);
const skip = skipUnless({ root: true, tools: [...openVSwitchTools, 'bridge', 'nft', 'ping', 'tcpdump'] });
const [blue, red] = [parseVni(1001), parseVni(1002)];
const gateway: Gateway = { addresses: [parseInterfaceAddress('10.0.0.254/24'), parseInterfaceAddress('fd00::fe/64')], masquerade: false };
const gatewayIf = `gw${blue}`;

/** Sends frames out of the host's gateway interface, as the host would. */
function senderOfHost(scope: TeardownScope, node: SwitchNode): (frame: Uint8Array) => void {
  const fd = openNetns(netnsPath(node.netns));
  const sender = insideNetns(fd, openPacketSender);
  scope.teardown(() => {
    sender.close();
    closeSync(fd);
  });
  const index = findLink(node.netns, gatewayIf)?.ifindex ?? 0;
  return (frame) => sender.send(index, frame);
}

void t.test('containers here and elsewhere reach the gateway, and it reaches them', { skip }, async (t) => {
  const hub = createHub(t);
  const [node, peer] = [await createSwitchNode(t, hub, 1), new BridgeNode(t, hub, 2)];
  const network = await node.addTenant(blue, [peer.vtep], gateway);
  peer.addTenant(blue, [node.vtep]);
  const near = await node.attach(network, { number: 1 });
  const underlay = await node.captureUnderlay(t);
  for (const address of ['10.0.0.254', 'fd00::fe']) t.ok(canPing(near, address), `${address} from here`);
  for (const address of ['10.0.0.1', 'fd00::1']) runIn(node.netns, 'ping', '-n', '-c', '1', '-W', '2', address);
  await underlay.drain();
  t.same(withoutListenerReports(underlay), [], 'nothing of it is for other nodes');

  const far = peer.attach({ vni: blue, number: 4 });
  // A bridge of weft's has this MAC itself; here the gateway is the switch's.
  runIn(peer.netns, 'ip', 'link', 'set', `br${blue}`, 'address', '02:bb:00:00:00:02');
  for (const address of ['10.0.0.254', 'fd00::fe']) t.ok(canPing(far, address), `${address} from elsewhere`);
  for (const address of ['10.0.0.4', 'fd00::4']) runIn(node.netns, 'ping', '-n', '-c', '1', '-W', '2', address);
});

void t.test('nobody else has the gateway\'s MAC, and the gateway has no other', { skip }, async (t) => {
  const hub = createHub(t);
  const [node, peer] = [await createSwitchNode(t, hub, 1), new BridgeNode(t, hub, 2)];
  const network = await node.addTenant(blue, [peer.vtep], gateway);
  peer.addTenant(blue, [node.vtep]);
  const far = peer.attach({ vni: blue, number: 4 });
  const [inNear, inGateway] = [await captureAt(t, await node.attach(network, { number: 1 })), await startCapture(t, node.netns, gatewayIf)];
  const host = senderOfHost(t, node);
  const said = (from: string, marker: string): Buffer => frame({ to: broadcast, from: parseMac(from) }, 0x0806, arp({ operation: 1, senderMac: parseMac(from), senderAddress: '10.0.0.254', targetAddress: '10.0.0.254' }), marker);
  const honest = frame({ to: broadcast, from: far.port.mac }, 0x8035, arp({ operation: 3, senderMac: far.port.mac, senderAddress: '0.0.0.0', targetAddress: '0.0.0.0' }), 'truth from afar');
  far.send(said(gatewayMac(blue), 'lie from afar'), honest);
  host(said('02:cc:00:00:00:01', 'lie of the host'));
  host(frame({ to: broadcast, from: gatewayMac(blue) }, 0x8100, Buffer.from('000508060001', 'hex'), 'tag of the host'));
  host(said(gatewayMac(blue), 'truth of the host'));
  t.ok(await inNear.waitFor(() => inNear.count('truth from afar') > 0 && inNear.count('truth of the host') > 0, 10_000));
  for (const capture of [inNear, inGateway]) await capture.drain();
  t.equal(inNear.count('lie'), 0);
  t.equal(inNear.count('tag'), 0);
  t.equal(inNear.count('truth of the host'), 1);
  t.equal(inGateway.count('truth from afar'), 1);
  t.equal(inGateway.count('lie from afar'), 0, 'not at the gateway either');
});

void t.test('broadcast comes to the gateway once, from here and from elsewhere', { skip }, async (t) => {
  const hub = createHub(t);
  const [node, peer] = [await createSwitchNode(t, hub, 1), new BridgeNode(t, hub, 2)];
  const network = await node.addTenant(blue, [peer.vtep], gateway);
  peer.addTenant(blue, [node.vtep]);
  const [near, far] = [await node.attach(network, { number: 1 }), peer.attach({ vni: blue, number: 4 })];
  const inGateway = await startCapture(t, node.netns, gatewayIf);
  for (const [container, marker] of [[near, 'from here'], [far, 'from afar']] as const) {
    const { mac } = container.port;
    container.send(frame({ to: broadcast, from: mac }, 0x8035, arp({ operation: 3, senderMac: mac, senderAddress: '0.0.0.0', targetAddress: '0.0.0.0' }), marker));
  }
  t.ok(await inGateway.waitFor(() => inGateway.count('from here') > 0 && inGateway.count('from afar') > 0, 10_000));
  await inGateway.drain();
  t.same([inGateway.count('from here'), inGateway.count('from afar')], [1, 1]);
});

void t.test('what looks like the tunnel\'s is not unpacked on its way to a gateway', { skip }, async (t) => {
  const hub = createHub(t);
  const node = await createSwitchNode(t, hub, 1);
  const [outer, victim] = [await node.addTenant(blue, [], gateway), await node.addTenant(red, [parseInterfaceAddress('192.0.2.2/24').address])];
  // A tunnel with an address of its own takes only what is for that; the flows do not depend on it.
  node.openVSwitch.vsctl('remove', 'interface', 'vxlan0', 'options', 'local_ip');
  const attacker = await node.attach(outer, { number: 1, addresses: [] });
  const target = await node.attach(victim, { number: 2 });
  const [inTarget, inGateway] = [await captureAt(t, target), await startCapture(t, node.netns, gatewayIf)];
  const inner = frame({ to: target.port.mac, from: parseMac('02:00:00:00:00:09') }, 0x0800, udp4('10.0.0.9', '10.0.0.2'), 'hidden');
  const packet = (port: number): Buffer => udp4('192.0.2.2', '10.0.0.254', { port, payload: vxlan(red, inner) });
  attacker.send(frame({ to: gatewayMac(blue), from: attacker.port.mac }, 0x0800, packet(vxlanUdpPort), ''), frame({ to: gatewayMac(blue), from: attacker.port.mac }, 0x0800, packet(9), 'another port'));
  t.ok(await inGateway.waitFor(() => inGateway.count('another port') === 1, 10_000), 'the gateway gets the rest');
  for (const capture of [inTarget, inGateway]) await capture.drain();
  t.equal(inTarget.count('hidden'), 0, 'the other tenant gets nothing');
  t.equal(inGateway.count('hidden'), 1);
});
