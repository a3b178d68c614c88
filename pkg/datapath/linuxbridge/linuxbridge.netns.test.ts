/** The Linux bridge datapath: the suite every datapath passes, and what is special to bridges. */
import t from 'tap';
import { addAddress, parseAddress } from '../../netaddr/netaddr.ts';
import { bridgeName, vxlanName } from '../../overlay/names.ts';
import { inNetns, run, runIn } from '../../testing/command.ts';
import { findLink, ipJson, nftJson, readAddresses, readFdb, type ObservedLink } from '../../testing/observe.ts';
import { skipUnless } from '../../testing/requirements.ts';
import { testDatapath } from '../test-conformance.ts';
import { FaultPlan, faultyKernel } from '../test-faults.ts';
import { blue, createContainer, createNode, observeNode, red, removeSegment, type TestContainer, testPort, withGateway } from '../test-node.ts';
import { linuxBridgeDatapath } from './linuxbridge.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'ping'] });
const [bridge, vxlan] = [bridgeName(blue.vni), vxlanName(blue.vni)];

testDatapath({ create: linuxBridgeDatapath, skip });

/** The VTEPs that a VXLAN device floods to. */
function floodList({ netns }: TestContainer, device = vxlan): readonly (string | undefined)[] {
  return readFdb(netns, device).filter((entry) => entry.mac === '00:00:00:00:00:00').map((entry) => entry.dst).sort();
}

/** How many elements each set of weft's has, by table and set; empty sets left out. */
function elementCounts({ netns }: TestContainer): Readonly<Record<string, number>> {
  const { nftables } = nftJson<{ readonly nftables: readonly { readonly set?: { readonly family: string; readonly table: string; readonly name: string; readonly elem?: readonly unknown[] } }[] }>(netns, 'list', 'ruleset');
  const sets = nftables.flatMap(({ set }) => (set?.elem === undefined ? [] : [[`${set.family} ${set.table} ${set.name}`, set.elem.length] as const]));
  return Object.fromEntries(sets);
}

void t.test('a segment is a bridge and a VXLAN device', { skip }, async (t) => {
  const [node, container] = [await createNode(t, linuxBridgeDatapath), createContainer(t)];
  const port = testPort(blue, 5);
  await node.datapath.attach({ segment: blue, port, netnsFd: container.fd });
  t.match(findLink(node.netns, bridge), {
    address: '0e:77:67:00:03:e9', mtu: 1450, ifalias: 'weft tenant blue VNI 1001', linkinfo: { info_kind: 'bridge', info_data: { stp_state: 0, mcast_snooping: 0 } },
  });
  t.match(findLink(node.netns, vxlan), {
    mtu: 1500, master: bridge, ifalias: 'weft tenant blue VNI 1001', linkinfo: { info_kind: 'vxlan', info_data: { id: 1001, local: '192.0.2.1', port: 4789, learning: true } },
  });
  t.match(findLink(node.netns, port.hostIf), { master: bridge, linkinfo: { info_kind: 'veth', info_slave_data: { learning: false, flood: false } } });
  for (const name of [bridge, vxlan, port.hostIf]) {
    t.match(ipJson<readonly (ObservedLink & { readonly inet6_addr_gen_mode: string })[]>(node.netns, '-d', 'link', 'show', name), [{ inet6_addr_gen_mode: 'none' }]);
    t.same(readAddresses(node.netns, name), [], `${name} has no link-local address`);
  }
  t.match(readFdb(node.netns, port.hostIf).filter((entry) => entry.mac === port.mac), [{ master: bridge, state: 'static' }]);
  t.same(floodList(node), ['192.0.2.2']);
  t.same(elementCounts(node), { 'bridge weft ports': 1, 'bridge weft addresses4': 1, 'bridge weft addresses6': 2, 'inet weft segments': 1, 'inet weft vteps4': 1 });
});

void t.test('over IPv6, and for a layer 2 attachment', { skip }, async (t) => {
  const [node, container] = [await createNode(t, linuxBridgeDatapath), createContainer(t)];
  const segment = { ...blue, overlayMtu: 1430, vtepAddress: parseAddress('2001:db8:ffff::1'), peers: [parseAddress('2001:db8:ffff::2'), parseAddress('2001:db8:ffff::3')] };
  const request = { segment, port: testPort(segment, 5, { addresses: [], routes: [] }), netnsFd: container.fd };
  await node.datapath.attach(request);
  t.match(findLink(node.netns, vxlan), { mtu: 1500, linkinfo: { info_data: { local6: '2001:db8:ffff::1' } } });
  t.same(floodList(node), ['2001:db8:ffff::2', '2001:db8:ffff::3']);
  t.same(elementCounts(node), { 'bridge weft ports': 1, 'bridge weft open': 1, 'inet weft segments': 1, 'inet weft vteps6': 2 });
  t.same(await node.datapath.check(request), []);
});

void t.test('updateSegment() changes the flood list and the guard, and nothing of another tenant', { skip }, async (t) => {
  const node = await createNode(t, linuxBridgeDatapath);
  const port = testPort(blue, 5);
  await node.datapath.attach({ segment: blue, port, netnsFd: createContainer(t).fd });
  await node.datapath.attach({ segment: red, port: testPort(red, 6), netnsFd: createContainer(t).fd });
  const changed = { ...withGateway(blue), peers: [parseAddress('192.0.2.3'), parseAddress('192.0.2.4')] };
  const before = observeNode(node);
  await node.datapath.updateSegment({ segment: changed, previous: blue, others: [red], ports: [port] });
  t.same(floodList(node), ['192.0.2.3', '192.0.2.4']);
  t.same(floodList(node, vxlanName(red.vni)), ['192.0.2.2']);
  t.match(elementCounts(node), {
    'bridge weft gateway_ports': 2, 'bridge weft gateway_macs': 1, 'inet weft vteps4': 3, 'inet weft segments': 2, 'inet weft gateways': 1,
    'inet weft-gateway vtep_ports': 2, 'inet weft-gateway same_tenant': 1, 'inet weft-gateway masqueraded': 1,
  });
  const noMasquerade = { ...withGateway(blue, false), peers: changed.peers };
  await node.datapath.updateSegment({ segment: noMasquerade, previous: changed, others: [red], ports: [port] });
  t.notOk('inet weft-gateway masqueraded' in elementCounts(node), 'no longer masqueraded');
  await node.datapath.updateSegment({ segment: blue, previous: noMasquerade, others: [red], ports: [port] });
  runIn(node.netns, 'nft', 'delete', 'table', 'inet', 'weft-gateway');
  t.same(observeNode(node), before, 'but for the empty table of gateways');
});

/** Links that somebody else made under weft's names, or with its VNI. */
const foreign: readonly { readonly line: string; readonly message: RegExp }[] = [
  { line: `tuntap add dev ${bridge} mode tap`, message: /^Cannot use weft-br1001: it is a tun that weft did not make$/ },
  { line: `link add ${vxlan} type bridge`, message: /^Cannot use weft-vx1001: it is a bridge that weft did not make$/ },
  { line: 'link add other type vxlan id 1001 dstport 4789 local 192.0.2.1', message: /^Cannot make the VXLAN device of tenant blue: another device of this node has VNI 1001 on UDP port 4789$/ },
];
for (const { line, message } of foreign) {
  void t.test(`a foreign object: ip ${line}`, { skip }, async (t) => {
    const [node, container] = [await createNode(t, linuxBridgeDatapath), createContainer(t)];
    run('ip', ['-n', node.netns, ...line.split(' ')]);
    const before = observeNode(node);
    const port = testPort(blue, 5);
    await t.rejects(node.datapath.attach({ segment: blue, port, netnsFd: container.fd }), { code: 'foreignObject', cniCode: 112, message });
    await node.datapath.detach(port);
    await removeSegment(node.datapath, { segment: blue, remaining: [] });
    t.same(observeNode(node), before, 'it is left alone');
  });
}

void t.test('a VXLAN device of other settings is replaced, one that is merely damaged is kept', { skip }, async (t) => {
  const [node, container] = [await createNode(t, linuxBridgeDatapath), createContainer(t)];
  run('ip', ['-n', node.netns, 'link', 'add', vxlan, 'type', 'vxlan', 'id', '7', 'dstport', '4790', 'local', '192.0.2.1']);
  const request = { segment: blue, port: testPort(blue, 5), netnsFd: container.fd };
  await node.datapath.attach(request);
  t.match(findLink(node.netns, vxlan)?.linkinfo?.info_data, { id: 1001, port: 4789 });
  const index = findLink(node.netns, vxlan)?.ifindex;
  for (const line of [`link set ${vxlan} nomaster down`, `link set ${bridge} down`]) run('ip', ['-n', node.netns, ...line.split(' ')]);
  await node.datapath.attach({ segment: blue, port: testPort(blue, 6), netnsFd: createContainer(t).fd });
  t.equal(findLink(node.netns, vxlan)?.ifindex, index, 'the same device');
  t.same(await node.datapath.check(request), []);
});

void t.test('a segment whose removal was interrupted is used again, and no later removal takes it along', { skip }, async (t) => {
  const node = await createNode(t, linuxBridgeDatapath);
  const request = { segment: blue, port: testPort(blue, 5), netnsFd: createContainer(t).fd };
  for (let at = 1, isDone = false; !isDone; at += 1) {
    await node.datapath.attach(request);
    await node.datapath.detach(request.port);
    const plan = new FaultPlan('refused', at);
    try {
      await removeSegment(node.withKernel((kernel) => faultyKernel(kernel, plan)), { segment: blue, remaining: [] });
    } catch (error) {
      t.match(error, { code: 'kernelRefused' });
    }
    isDone = plan.failed === undefined;
    await node.datapath.attach(request);
    await node.datapath.attach({ segment: red, port: testPort(red, 6), netnsFd: createContainer(t).fd });
    await removeSegment(node.datapath, { segment: red, remaining: [blue], ports: [testPort(red, 6)] });
    t.same(await node.datapath.check(request), [], `after request ${at}: ${plan.failed ?? 'none'}`);
    await node.datapath.detach(request.port);
  }
});

void t.test('a tenant of a thousand peers', { skip }, async (t) => {
  const node = await createNode(t, linuxBridgeDatapath);
  const peers = Array.from({ length: 1000 }, (_, n) => addAddress(parseAddress('10.200.0.1'), BigInt(n)));
  const [segment, port] = [{ ...blue, peers }, testPort(blue, 5)];
  const before = observeNode(node);
  await node.datapath.attach({ segment, port, netnsFd: createContainer(t).fd });
  t.equal(floodList(node).length, peers.length);
  t.equal(elementCounts(node)['inet weft vteps4'], peers.length);
  await node.datapath.updateSegment({ segment: blue, previous: segment, others: [], ports: [port] });
  t.same(floodList(node), ['192.0.2.2']);
  t.equal(elementCounts(node)['inet weft vteps4'], 1);
  await node.datapath.detach(port);
  await removeSegment(node.datapath, { segment, remaining: [] });
  t.same(observeNode(node), before);
});

void t.test('collect() of thousands of strays in the guard', { skip }, async (t) => {
  const node = await createNode(t, linuxBridgeDatapath);
  const port = testPort(blue, 5);
  await node.datapath.attach({ segment: blue, port, netnsFd: createContainer(t).fd });
  const before = observeNode(node);
  const strays = Array.from({ length: 4000 }, (_, n) => `"weft-pstray${n % 100}" . 10.9.${n >> 8}.${n & 0xff}`);
  run('ip', inNetns(node.netns, 'nft', '-f', '-'), `add element bridge weft addresses4 { ${strays.join(', ')} }`);
  t.same(await node.datapath.collect({ segments: [blue], ports: [port] }), ['4000 elements of the nft set bridge weft addresses4']);
  t.same(observeNode(node), before);
});

void t.test('a bridge that is full', { skip }, async (t) => {
  const node = await createNode(t, linuxBridgeDatapath);
  await node.datapath.attach({ segment: blue, port: testPort(blue, 5), netnsFd: createContainer(t).fd });
  // One port is the container's, one the VXLAN device's: veths fill the 1021 others.
  const lines = Array.from({ length: 511 }, (_, n) => [`link add a${n} master ${bridge} type veth peer name b${n}`, n < 510 ? `link set b${n} master ${bridge}` : '']).flat();
  run('ip', ['-n', node.netns, '-batch', '-'], `${lines.join('\n')}\n`);
  const container = createContainer(t);
  await t.rejects(node.datapath.attach({ segment: blue, port: testPort(blue, 6), netnsFd: container.fd }), { code: 'bridgeFull', message: `VNI 1001 has ${node.datapath.portsMaxOf(blue)} containers on this node: there is no room for another one` });
  t.equal(node.datapath.portsMaxOf(blue), 1022);
  await node.datapath.detach(testPort(blue, 6));
  run('ip', ['-n', node.netns, 'link', 'set', 'a0', 'nomaster']);
  await node.datapath.attach({ segment: blue, port: testPort(blue, 6), netnsFd: container.fd });
  t.equal(findLink(node.netns, testPort(blue, 6).hostIf)?.master, bridge, 'a port is free again');
});
