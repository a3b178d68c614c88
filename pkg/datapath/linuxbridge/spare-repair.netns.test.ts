/** Damage to what a segment with a control plane has besides: said by CHECK, put right by a repair, and then left alone. */
import t from 'tap';
import { bridgeName, spareName, sparePortName, vxlanName } from '../../overlay/names.ts';
import { run, runIn } from '../../testing/command.ts';
import { ipJson, nftJson, readFdb } from '../../testing/observe.ts';
import { skipUnless } from '../../testing/requirements.ts';
import { repairAll, toRepair } from '../test-conformance-repair.ts';
import { blue, createContainer, createNode, testPort, withGateway, type TestNode } from '../test-node.ts';
import { linuxBridgeDatapath } from './linuxbridge.ts';
import { readNeighbours, withEvpn, writeAsZebra } from './test-evpn.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'tc'] });
const segment = withEvpn(withGateway(blue));
const port = testPort(segment, 5);
const [bridge, vxlan, tunnel, sparePort] = [bridgeName(blue.vni), vxlanName(blue.vni), spareName(blue.vni), sparePortName(blue.vni)];
const known = { segments: [segment], ports: [port] };

const neighbours = ['10.1.1.5', 'fd00:1::5'].map((address) => `${bridge} does not know that ${address} has MAC ${port.mac}`);
const option = (name: string, what: string, is: string): string => `the bridge port option ${what} of ${name} is ${is}: set ${is === 'on' ? 'off' : 'on'}`;
const missing = { tunnel: `the tenant's spare tunnel ${tunnel} is missing: made anew`, port: `the bridge's port to the spare tunnel, ${sparePort} is missing: made anew` };

/** A command on the node, and what the repair says that it found and did. */
const damages: readonly { readonly command: string; readonly said: readonly string[] }[] = [
  { command: `ip link del ${tunnel}`, said: [missing.tunnel] },
  { command: `ip link del ${sparePort}`, said: [missing.port] },
  { command: `ip link set ${tunnel} down`, said: [`${tunnel} is down: set up`] },
  { command: `ip link set ${sparePort} down`, said: [`${sparePort} is down: set up`] },
  { command: `ip link set ${sparePort} nomaster`, said: [`${sparePort} is not a port of ${bridge}: put back`] },
  { command: `ip link set ${tunnel} master ${bridge}`, said: [`${tunnel} is a port of a bridge: taken out`] },
  { command: `ip link set ${tunnel} mtu 1400`, said: [`${tunnel} has MTU 1400, less than its endpoints' 1450: set to 1500`] },
  { command: `ip link set ${sparePort} mtu 1480`, said: [`${sparePort} has MTU 1480 instead of 1500: set back`] },
  { command: `ip link set ${tunnel} arp on`, said: [`the host speaks ARP on ${tunnel}: set off`] },
  { command: `ip link set ${tunnel} type vxlan learning`, said: [`${tunnel} learns MACs: set not to`] },
  { command: `ip link set ${sparePort} alias mine`, said: [`${sparePort} has lost its description: written again`] },
  { command: `ip link set ${tunnel} addrgenmode eui64`, said: [`${tunnel} has IPv6 link-local addresses of its own accord (addrgenmode): set to none`] },
  { command: `bridge link set dev ${sparePort} flood off`, said: [option(sparePort, 'unicastFlood', 'off')] },
  { command: `bridge link set dev ${sparePort} bcast_flood on`, said: [option(sparePort, 'broadcastFlood', 'on')] },
  { command: `bridge link set dev ${sparePort} isolated off`, said: [option(sparePort, 'isolated', 'off')] },
  { command: `bridge link set dev ${vxlan} flood on`, said: [option(vxlan, 'unicastFlood', 'on')] },
  { command: `bridge link set dev ${vxlan} neigh_suppress off`, said: [option(vxlan, 'neighbourSuppression', 'off')] },
  { command: `bridge link set dev ${vxlan} isolated off`, said: [option(vxlan, 'isolated', 'off')] },
  { command: `bridge link set dev ${vxlan} learning on`, said: [option(vxlan, 'learning', 'on')] },
  { command: `tc qdisc del dev ${sparePort} clsact`, said: [`${sparePort} does not send to ${tunnel}: filter made anew`] },
  { command: `tc filter del dev ${sparePort} egress`, said: [`${sparePort} does not send to ${tunnel}: filter made anew`] },
  { command: `bridge fdb add 02:00:00:00:00:98 dev ${sparePort} master static`, said: [`${sparePort} has a static FDB entry of 02:00:00:00:00:98: removed`] },
  { command: `bridge fdb del 00:00:00:00:00:00 dev ${tunnel} dst 192.0.2.2 port 4789 vni 1001 self`, said: [`the flood list of ${tunnel} lacks the peer 192.0.2.2: added`] },
  { command: `bridge fdb append 00:00:00:00:00:00 dev ${tunnel} dst 192.0.2.66 port 4789 vni 1001 self permanent`, said: [`the flood list of ${tunnel} has 192.0.2.66, which is no peer: removed`] },
  { command: `ip neigh del 10.1.1.5 dev ${bridge}`, said: [`${neighbours[0] ?? ''}: told again`] },
  { command: `ip neigh replace fd00:1::5 lladdr 02:00:00:00:00:66 dev ${bridge} nud permanent`, said: [`${neighbours[1] ?? ''}: told again`] },
  { command: `ip neigh flush dev ${bridge} nud permanent`, said: neighbours.map((what) => `${what}: told again`) },
  { command: `ip link set ${port.hostIf} arp off`, said: [`ARP is off on ${port.hostIf}: nobody can be answered for: set on`] },
  { command: `sysctl -q -w net.ipv4.conf.${port.hostIf}.arp_ignore=0`, said: [`the host answers ARP on ${port.hostIf}: set not to`] },
  { command: `nft flush set inet weft segments`, said: ['the guard lacks an element of the nft set inet weft segments'] },
  { command: `ip address del 10.1.1.1/24 dev ${bridge}`, said: ['the bridge lacks the gateway address 10.1.1.1/24: added', `${neighbours[0] ?? ''}: told again`] },
  { command: `ip link set ${bridge} down`, said: [`${bridge} is down: set up`, 'the bridge lacks the gateway address fd00:1::1/64: added', 'the bridge lacks the gateway address fe80::c77:67ff:fe00:3e9/64: added', ...neighbours.map((what) => `${what}: told again`)] },
];

/** Everything that there is to damage, without what is new with each making. */
function describe({ netns }: TestNode): unknown {
  const links = ipJson<readonly Record<string, unknown>[]>(netns, '-d', 'link', 'show').filter(({ ifname }) => String(ifname).startsWith('weft-'));
  const names = links.map(({ ifname }) => String(ifname)).sort();
  return {
    links: links.map((link) => JSON.stringify([link['ifname'], link['mtu'], link['master'], link['ifalias'], link['inet6_addr_gen_mode'], (link['flags'] as readonly string[]).filter((flag) => flag === 'UP' || flag === 'NOARP'), withoutNumbers(link['linkinfo'])])).sort(),
    fdb: names.flatMap((name) => readFdb(netns, name).filter(({ state, dst }) => state === 'static' || dst !== undefined).map((entry) => `${name} ${entry.mac} ${entry.dst ?? ''} ${entry.state ?? ''}`)).sort(),
    neighbours: readNeighbours(netns, bridge).filter(({ state }) => state.includes('PERMANENT')).map(({ dst, lladdr }) => `${dst} ${lladdr ?? ''}`).sort(),
    filter: names.includes(sparePort) && run('tc', ['-n', netns, 'filter', 'show', 'dev', sparePort, 'egress']).replace(/index \d+|pref \d+|fh [0-9a-f:]+|ht_divisor \d+/g, ''),
    arpIgnore: runIn(netns, 'sysctl', '-n', `net.ipv4.conf.${port.hostIf}.arp_ignore`),
    sets: nftJson<{ readonly nftables: readonly { readonly set?: { readonly elem?: readonly unknown[] } }[] }>(netns, 'list', 'ruleset').nftables.map(({ set }) => JSON.stringify(set?.elem ?? [])),
  };
}

/** Timers, and identifiers that are made from MACs and positions. */
function withoutNumbers(info: unknown): string {
  return JSON.stringify(info, (key, value: unknown) => (/timer|_id$|^id$|no$|designated|root/.test(key) && key !== 'id' ? undefined : value));
}

void t.test('each damage is named, put right, and then nothing is written', { skip }, async (t) => {
  const [node, container] = [await createNode(t, linuxBridgeDatapath), createContainer(t)];
  await node.datapath.attach({ segment, port, netnsFd: container.fd });
  // zebra's own entries are no damage.
  writeAsZebra(node.netns, segment, { mac: '02:00:00:00:00:06', vtep: '192.0.2.2', addresses: ['10.1.1.6', 'fd00:1::6'] });
  const request = toRepair(segment, port, container);
  const nothing = { repaired: [], left: [], failed: [], writes: [] };
  t.same(await repairAll(node, [request]), nothing, 'whole before');
  t.same(await node.datapath.check({ segment, port, netnsFd: container.fd }), []);
  const before = describe(node);
  for (const { command, said } of damages) {
    const [tool = '', ...args] = command.split(' ');
    runIn(node.netns, tool, ...args);
    t.notSame(describe(node), before, `${command}: is damage`);
    const guard = node.datapath.mendGuard(known);
    const { repaired, left, failed } = await repairAll(node, [request]);
    t.same({ repaired: [...guard, ...repaired], left, failed }, { repaired: said, left: [], failed: [] }, command);
    t.same(describe(node), before, `${command}: as it was`);
    t.same(await repairAll(node, [request]), nothing, `${command}: nothing more to do`);
    t.same(await node.datapath.check({ segment, port, netnsFd: container.fd }), [], command);
  }
});

void t.test('CHECK names what is missing, and what somebody else has put in its place is left', { skip }, async (t) => {
  const [node, container] = [await createNode(t, linuxBridgeDatapath), createContainer(t)];
  const request = { segment, port, netnsFd: container.fd };
  await node.datapath.attach(request);
  run('ip', ['-n', node.netns, 'link', 'del', tunnel]);
  run('ip', ['-n', node.netns, 'neigh', 'del', '10.1.1.5', 'dev', bridge]);
  t.same(await node.datapath.check(request), [`the tenant's spare tunnel ${tunnel} is missing`, neighbours[0]]);
  run('ip', ['-n', node.netns, 'link', 'add', tunnel, 'type', 'bridge']);
  t.same(await node.datapath.check(request), [`${tunnel} is a bridge that weft did not make`, neighbours[0]]);
  await t.rejects(node.datapath.attach({ ...request, port: testPort(segment, 6) }), { code: 'foreignObject', message: `Cannot use ${tunnel}: it is a bridge that weft did not make` });
  run('ip', ['-n', node.netns, 'link', 'del', tunnel]);
  run('ip', ['-n', node.netns, 'link', 'add', tunnel, 'type', 'vxlan', 'id', '7', 'dstport', '24789', 'local', '192.0.2.1']);
  t.same((await repairAll(node, [toRepair(segment, port, container)])).repaired.slice(0, 1), [`${tunnel} has VNI 7 instead of 16776214: replaced`]);
  run('ip', ['-n', node.netns, 'link', 'del', tunnel]);
  run('ip', ['-n', node.netns, 'link', 'add', 'other', 'type', 'vxlan', 'id', '16776214', 'dstport', '24789', 'local', '192.0.2.1']);
  await t.rejects(node.datapath.attach({ ...request, port: testPort(segment, 7) }), { code: 'foreignObject', message: 'Cannot make the spare tunnel of tenant blue: another device of this node has VNI 16776214 on UDP port 24789' });
});
