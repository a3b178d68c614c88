/** CHECK of a Linux bridge: each damage done to the node, by the system's own tools, and just what is said of it. */
import t from 'tap';
import { bridgeName, vxlanName } from '../../overlay/names.ts';
import { run, runIn } from '../../testing/command.ts';
import { skipUnless } from '../../testing/requirements.ts';
import { blue, createContainer, createNode, removeSegment, testPort, withGateway } from '../test-node.ts';
import { linuxBridgeDatapath } from './linuxbridge.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft'] });
const segment = withGateway(blue);
const port = testPort(segment, 5);
const { hostIf } = port;
const [bridge, vxlan] = [bridgeName(segment.vni), vxlanName(segment.vni)];
const fdbMissing = `the FDB entry of ${port.mac} at ${hostIf} is missing`;
const element = (set: string): string => `the guard lacks an element of the nft set ${set}`;

/** A command inside the node, by its first word: `ip`, `bridge` or `nft`. */
const damages: readonly { readonly command: string; readonly faults: readonly string[] }[] = [
  // With the bridge its FDB is gone too.
  { command: `ip link del ${bridge}`, faults: [`the tenant's bridge ${bridge} is missing`, fdbMissing] },
  { command: `ip link del ${vxlan}`, faults: [`the tenant's VXLAN device ${vxlan} is missing`] },
  { command: `ip link set ${bridge} down`, faults: [`${bridge} is down`] },
  { command: `ip link set ${vxlan} down`, faults: [`${vxlan} is down`] },
  { command: `ip link set ${vxlan} nomaster`, faults: [`${vxlan} is not a port of ${bridge}`] },
  { command: `ip link set ${vxlan} mtu 1400`, faults: [`${vxlan} has MTU 1400, less than its endpoints' 1450`] },
  { command: `ip link set ${hostIf} down`, faults: [`the host interface ${hostIf} is down`] },
  { command: `ip link set ${hostIf} mtu 1400`, faults: [`the host interface ${hostIf} has MTU 1400 instead of 1450`] },
  { command: `ip link set ${hostIf} nomaster`, faults: [`the host interface ${hostIf} is not a port of ${bridge}`] },
  { command: `ip link set ${hostIf} name gone`, faults: [`the host interface ${hostIf} is missing`] },
  { command: `ip address del 10.1.1.1/24 dev ${bridge}`, faults: ['the bridge lacks the gateway address 10.1.1.1/24'] },
  { command: `ip address del fd00:1::1/64 dev ${bridge}`, faults: ['the bridge lacks the gateway address fd00:1::1/64'] },
  { command: `bridge fdb del ${port.mac} dev ${hostIf} master`, faults: [fdbMissing] },
  { command: `bridge fdb del 00:00:00:00:00:00 dev ${vxlan} dst 192.0.2.2`, faults: [`the flood list of ${vxlan} lacks the peer 192.0.2.2`] },
  { command: `nft delete element bridge weft ports { "${hostIf}" . ${port.mac} }`, faults: [element('bridge weft ports')] },
  { command: `nft delete element bridge weft addresses4 { "${hostIf}" . 10.1.1.5 }`, faults: [element('bridge weft addresses4')] },
  { command: `nft delete element bridge weft addresses6 { "${hostIf}" . fd00:1::5 }`, faults: [element('bridge weft addresses6')] },
  { command: `nft delete element bridge weft gateway_ports { "${hostIf}" }`, faults: [element('bridge weft gateway_ports')] },
  { command: 'nft flush set inet weft vteps4', faults: [element('inet weft vteps4')] },
  { command: 'nft flush set inet weft segments', faults: [element('inet weft segments')] },
  { command: 'nft flush set inet weft-gateway masqueraded', faults: [element('inet weft-gateway masqueraded')] },
  { command: 'nft delete table bridge weft', faults: ['the guard lacks the nft table bridge weft'] },
  { command: 'nft delete table inet weft', faults: ['the guard lacks the nft table inet weft'] },
  { command: 'nft delete table inet weft-gateway', faults: ['the guard lacks the nft table inet weft-gateway'] },
  { command: 'nft flush chain bridge weft from_container', faults: ["the guard's nft chain bridge weft from_container does not have the rules it was made with"] },
  { command: 'nft insert rule inet weft input accept', faults: ["the guard's nft chain inet weft input does not have the rules it was made with"] },
  { command: 'nft flush chain inet weft-gateway forward', faults: ["the guard's nft chain inet weft-gateway forward does not have the rules it was made with"] },
];

void t.test('check() says in words just the damage done to the node', { skip }, async (t) => {
  const [node, container] = [await createNode(t, linuxBridgeDatapath), createContainer(t)];
  const request = { segment, port, netnsFd: container.fd };
  for (const { command, faults } of damages) {
    await node.datapath.attach(request);
    t.same(await node.datapath.check(request), [], 'whole before');
    const [tool = '', ...args] = command.split(' ');
    runIn(node.netns, tool, ...args);
    t.same(await node.datapath.check(request), faults, command);
    if (command.endsWith('name gone')) run('ip', ['-n', node.netns, 'link', 'del', 'gone']);
    await node.datapath.detach(port);
    await removeSegment(node.datapath, { segment, remaining: [] });
  }
});

void t.test('check() of an attachment that somebody else’s VXLAN device replaced', { skip }, async (t) => {
  const [node, container] = [await createNode(t, linuxBridgeDatapath), createContainer(t)];
  const request = { segment, port, netnsFd: container.fd };
  const rows: readonly (readonly [settings: string, fault: string])[] = [
    ['id 7 dstport 4789 local 192.0.2.1', `${vxlan} has VNI 7 instead of 1001`],
    ['id 1001 dstport 4790 local 192.0.2.1', `${vxlan} has UDP port 4790 instead of 4789`],
    ['id 1001 dstport 4789 local 192.0.2.9', `${vxlan} does not use the VTEP address 192.0.2.1`],
    ['id 1001 dstport 4789', `${vxlan} does not use the VTEP address 192.0.2.1`],
  ];
  for (const [settings, fault] of rows) {
    await node.datapath.attach(request);
    run('ip', ['-n', node.netns, 'link', 'del', vxlan]);
    run('ip', ['-n', node.netns, 'link', 'add', vxlan, 'type', 'vxlan', ...settings.split(' ')]);
    t.same(await node.datapath.check(request), [fault], settings);
    await node.datapath.detach(port);
  }
});

void t.test('what CHECK finds on the node, the next attachment repairs: links, flood list, gateway', { skip }, async (t) => {
  const [node, container, other] = [await createNode(t, linuxBridgeDatapath), createContainer(t), createContainer(t)];
  const request = { segment, port, netnsFd: container.fd };
  for (const line of [`link del ${vxlan}`, `link set ${vxlan} down`, `link set ${vxlan} nomaster`, `link set ${vxlan} mtu 1400`, `link set ${bridge} down`]) {
    await node.datapath.attach(request);
    run('ip', ['-n', node.netns, ...line.split(' ')]);
    await node.datapath.attach({ segment, port: testPort(segment, 6), netnsFd: other.fd });
    t.same(await node.datapath.check(request), [], line);
    for (const each of [port, testPort(segment, 6)]) await node.datapath.detach(each);
  }
});
