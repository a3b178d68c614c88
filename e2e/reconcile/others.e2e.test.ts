/** What is not weft's stays as it is, however much its names look alike. */
import { run, runIn } from '../../pkg/testing/command.ts';
import { bridgeJson, ipJson, readRoutes, readRuleset } from '../../pkg/testing/observe.ts';
import type { OpenVSwitch } from '../../pkg/testing/openvswitch.ts';
import { Daemon } from '../harness/daemon.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { debugging, fullPass } from './full-pass.ts';
import { createScene } from './scene.ts';

const skip = skipWithoutDaemonLab();

/** Names that only begin like weft's, and names like weft's of links that weft never makes. */
const links = [
  'weft-proxy0 type veth peer name weft-proxy1', 'weft-p00000000 type veth peer name other', 'weft-paaaaaa1ab type veth peer name other2', 'weft-pAAAAAAAAA type veth peer name other3',
  'weft-paaaaaaaab type bridge', 'weft-iaaaaaaaab type bridge',
  'weft-bridge type bridge', 'weft-br0 type bridge', 'weft-br01001 type bridge', 'weft-br777 type ifb', 'weft-br type bridge', 'docker0 type bridge',
  'weft-vx0 type vxlan id 5001 dstport 4790 local 10.200.0.11', 'weft-vxlan type vxlan id 5002 dstport 4790 local 10.200.0.11', 'weft-vx778 type ifb', 'vxlan0 type vxlan id 5003 dstport 4789 local 10.200.0.11',
];
const rules = `
  table bridge weftish { set ports { type ifname . ether_addr; }; chain prerouting { type filter hook prerouting priority 0; counter; }; }
  table inet mine { chain input { type filter hook input priority 0; accept; }; }
  table ip weft { chain output { type filter hook output priority 0; accept; }; }
  table ip6 weft-gateway { chain forward { type filter hook forward priority 0; }; }`;

function makeOthers(node: LabNode): void {
  const { netns } = node;
  run('ip', ['-n', netns, '-batch', '-'], [
    ...links.map((link) => `link add ${link}`),
    'link set weft-proxy1 master docker0', 'link set docker0 up', 'link set weft-proxy0 up', 'link set weft-proxy1 up', 'link set weft-br0 up',
    'address add 172.17.0.1/16 dev docker0', 'address add 192.0.2.9/32 dev lo', 'route add 198.51.100.0/24 via 10.200.0.1', 'link set weft-proxy0 alias mine',
  ].join('\n'));
  runIn(netns, 'bridge', 'fdb', 'add', '02:00:00:00:00:55', 'dev', 'weft-proxy1', 'master', 'static');
  runIn(netns, 'bridge', 'fdb', 'append', '00:00:00:00:00:00', 'dev', 'vxlan0', 'dst', '10.200.0.77');
  runIn(netns, 'tc', 'qdisc', 'add', 'dev', 'weft-proxy0', 'root', 'tbf', 'rate', '1mbit', 'burst', '16kb', 'limit', '64kb');
  runIn(netns, 'nft', rules);
  if (node.datapath === 'ovs') makeOtherBridges(node.openVSwitch);
}

/** Names like weft's, and one of weft's own, on bridges that are not; an external_ids:weft that is no role of weft's. */
function makeOtherBridges(ovs: OpenVSwitch): void {
  for (const bridge of otherBridges) ovs.addBridge(bridge);
  ovs.vsctl(
    'add-port', 'weft-int2', 'weft-bridge', '--', 'add-port', 'weft-int2', 'weft-taaaaaaaab', '--', 'set', 'interface', 'weft-taaaaaaaab', 'type=vxlan', 'options:remote_ip=192.0.2.7', 'options:dst_port=4799',
    '--', 'set', 'bridge', 'other-int', 'external_ids:weft=mine', '--', 'add-port', 'other-int', 'other2', '--', 'set', 'port', 'other2', 'external_ids:weft=mine',
  );
  for (const bridge of otherBridges) ovs.ofctl('add-flow', bridge, 'cookie=0x7765660003e90000,priority=9,actions=drop');
}

const otherBridges = ['weft-int2', 'other-int'];

const otherNames: ReadonlySet<string> = new Set(links.map((link) => link.split(' ')[0] ?? ''));

/** Multicast groups come and go with addresses and sysctls. */
function isGroup(mac: string): boolean {
  return mac.startsWith('33:33:') || mac.startsWith('01:00:5e:');
}

/** All of the node but for what is weft's own. */
function describeOthers(node: LabNode): unknown {
  const { netns } = node;
  const isWeft = (name: string): boolean => /^weft-(int|st[a-z2-7]{8}|[pi][a-z2-7]{9}|br100[12]|vx100[12])$/.test(name) && !otherNames.has(name);
  const named = ipJson<readonly { readonly ifname: string; readonly flags: readonly string[]; readonly master?: string; readonly ifalias?: string; readonly mtu: number; readonly address: string; readonly addr_info: readonly unknown[] }[]>(netns, 'address', 'show');
  return {
    links: named.filter(({ ifname }) => !isWeft(ifname)).map(({ ifname, flags, master, ifalias, mtu, address, addr_info: addresses }) => ({ ifname, isUp: flags.includes('UP'), master, ifalias, mtu, address, addresses: addresses.length })),
    fdb: bridgeJson<readonly { readonly ifname: string; readonly mac: string; readonly state?: string }[]>(netns, 'fdb', 'show').filter(({ ifname, mac, state }) => !isWeft(ifname) && !isGroup(mac) && (state === 'permanent' || state === 'static')).map(({ ifname, mac }) => `${ifname} ${mac}`).sort(),
    routes: readRoutes(netns, 4).filter(({ dev }) => !isWeft(dev ?? '')).map(({ dst, gateway, dev }) => `${dst} ${gateway ?? ''} ${dev ?? ''}`),
    rules: readRuleset(netns).split(/^(?=table )/m).filter((table) => !/^table (bridge weft|inet weft|inet weft-gateway) /.test(table)),
    bridges: node.datapath === 'ovs' ? otherBridges.map((bridge) => describeBridge(node.openVSwitch, bridge)) : [],
    limits: run('tc', ['-n', netns, 'qdisc', 'show', 'dev', 'weft-proxy0']),
  };
}

function describeBridge(ovs: OpenVSwitch, bridge: string): unknown {
  return [ovs.vsctl('list-ports', bridge), ovs.vsctl('--columns=name,external_ids,fail_mode', 'list', 'bridge', bridge), ovs.ofctl('--no-stats', 'dump-flows', bridge).replaceAll(/\(xid=.*\)/g, '')];
}

testEachDatapath('links, tables, addresses and routes of others, and bridges of their own on the switch', async (t, datapath) => {
  const { lab, node, daemon, blue, red } = await createScene(t, datapath);
  makeOthers(node);
  const before = describeOthers(node);
  await fullPass(daemon);
  t.same(describeOthers(node), before, 'a pass over the whole node');
  // Changes of theirs are theirs.
  for (const change of ['set weft-proxy0 down', 'set docker0 mtu 1400', 'set weft-proxy1 nomaster', 'del weft-br0', 'set weft-bridge address 02:00:00:00:00:44']) run('ip', ['-n', node.netns, 'link', ...change.split(' ')]);
  runIn(node.netns, 'nft', 'delete table bridge weftish');
  if (datapath === 'ovs') node.openVSwitch.vsctl('del-port', 'weft-int2', 'weft-taaaaaaaab', '--', 'set-fail-mode', 'other-int', 'standalone');
  const changed = describeOthers(node);
  t.strictNotSame(changed, before);
  await fullPass(daemon);
  t.equal(await daemon.stop(), 0);
  const next = await Daemon.start(t, node, debugging);
  t.same(describeOthers(node), changed, 'the start of a daemon');
  for (const guest of [...blue, ...red]) await lab.detach(guest);
  await fullPass(next);
  t.same(describeOthers(node), changed, 'when there is nothing of weft on the node any more');
  for (const each of [daemon, next]) {
    t.same(each.linesOf(/^repaired$/), [], 'nothing was repaired');
    t.same(each.log.filter(({ level }) => level === 'error'), []);
  }
}, { skip });
