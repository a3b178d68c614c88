/** Bridge, tunnels and ports in a real Open vSwitch, read back with its own tools. */
import t from 'tap';
import { parseAddress, parseMac } from '../../../netaddr/netaddr.ts';
import { run, runIn } from '../../../testing/command.ts';
import { createNetns } from '../../../testing/netns.ts';
import { findLink } from '../../../testing/observe.ts';
import { openVSwitchTools, type OpenVSwitch } from '../../../testing/openvswitch.ts';
import { skipUnless } from '../../../testing/requirements.ts';
import { createScene, listPorts, makeDevices, readColumn, until } from './test-scene.ts';
import type { OvsSwitch } from './switch.ts';
import { tunnelName, type TunnelSettings } from './tunnel.ts';

t.setTimeout(120_000);
const skip = skipUnless({ root: true, tools: [...openVSwitchTools, 'ping'] });
const vxlan: TunnelSettings = { type: 'vxlan', local: parseAddress('192.0.2.1'), port: 4789 };
const nothing = { ports: new Set<string>(), tunnels: new Set<string>() };

t.test('the bridge is made as weft needs it, by whichever of two comes first, and put right', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const [first, second] = [open(), open()];
  t.same(await Promise.all([first.ready(), second.ready(), second.ready()]), Array(3).fill({ datapathType: 'netdev' }));
  t.equal(openVSwitch.vsctl('list-br'), 'weft-int\n');
  const column = (name: string): string => readColumn(openVSwitch, 'Bridge', 'weft-int', name);
  t.same(['datapath_type', 'fail_mode', 'other_config', 'external_ids'].map(column), ['netdev', 'secure', '{disable-in-band="true"}', '{weft=bridge}']);
  for (const table of ['Port', 'Interface'] as const) t.equal(readColumn(openVSwitch, table, 'weft-int', 'external_ids'), '{weft=bridge}');
  openVSwitch.vsctl('set', 'Bridge', 'weft-int', 'fail_mode=standalone', 'other_config:disable-in-band=false', 'other_config:hwaddr="02:00:00:00:00:05"');
  await open().ready();
  t.equal(column('fail_mode'), 'secure');
  t.match(column('other_config'), /disable-in-band="true".*hwaddr/, 'what else is set stays');
});

t.test('a bridge goes with all that is on it, and comes back when it is needed', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const ovs = open();
  await ovs.removeBridge();
  makeDevices(openVSwitch, 1);
  await ovs.addPort({ name: 'p0', externalIds: {} });
  await ovs.ensureTunnel(vxlan);
  await ovs.removeBridge();
  t.equal(openVSwitch.vsctl('list-br'), '');
  t.equal(openVSwitch.vsctl('--columns=name', '--format=csv', '--no-heading', 'list', 'Interface'), '');
  t.same([...ovs.ports()], []);
  t.ok((await ovs.addPort({ name: 'p0', externalIds: {} })) > 0);
  await ovs.send([{ kind: 'add', flow: { table: 0, priority: 1, match: {}, instructions: {} } }]);
  t.equal((await ovs.listFlows()).length, 1, 'the switch of the new bridge is connected to');
});

t.test('a bridge that somebody uses is not taken away, whoever believes that nobody does', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const [first, second] = [open(), open()];
  makeDevices(openVSwitch, 1);
  t.equal(await first.removeUnusedBridge(), false, 'there is none');
  await first.ensureTunnel(vxlan);
  await second.addPort({ name: 'p0', externalIds: {} });
  t.equal(await first.removeUnusedBridge(), false);
  t.equal(openVSwitch.vsctl('list-br'), 'weft-int\n');
  await second.removePorts(['p0']);
  t.equal(await first.removeUnusedBridge(), true, 'a tunnel alone is of no use to anybody');
  t.equal(openVSwitch.vsctl('list-br'), '');
  for (let round = 0; round < 5; round += 1) {
    const [ofport] = await Promise.all([second.addPort({ name: 'p0', externalIds: {} }), first.removeUnusedBridge()]);
    t.equal(readColumn(openVSwitch, 'Interface', 'p0', 'ofport'), String(ofport), 'what is plugged in meanwhile stays');
    await second.removePorts(['p0']);
  }
});

t.test('a row whose device went with a reboot uses nothing', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  makeDevices(openVSwitch, 1);
  await open().addPort({ name: 'p0', externalIds: {} });
  await openVSwitch.kill('ovs-vswitchd');
  run('ip', ['-n', openVSwitch.netns, 'link', 'del', 'p0']);
  await openVSwitch.start('ovs-vswitchd');
  t.equal(await open().removeUnusedBridge(), true);
  t.equal(openVSwitch.vsctl('list-br'), '');
});

t.test('what processes share is made by one of them', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const all = [open(), open(), open(), open()];
  const numbers = await Promise.all(all.map((ovs) => ovs.ensureTunnel(vxlan)));
  t.equal(new Set(numbers).size, 1);
  const gateways = await Promise.all(all.map((ovs) => ovs.addPort({ name: 'g0', externalIds: {}, type: 'internal', isShared: true })));
  t.equal(new Set(gateways).size, 1);
  t.same(listPorts(openVSwitch).toSorted(), ['g0', tunnelName(vxlan)]);
});

t.test('a port has its number, its external_ids, and whatever else it needs', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const ovs = open();
  makeDevices(openVSwitch, 1);
  const ofport = await ovs.addPort({ name: 'p0', externalIds: { container: 'c0' } });
  t.equal(readColumn(openVSwitch, 'Interface', 'p0', 'ofport'), String(ofport));
  for (const table of ['Port', 'Interface'] as const) t.match(readColumn(openVSwitch, table, 'p0', 'external_ids'), /^\{container=c0, weft=port, weft-token=/);
  t.match(ovs.ports().get('p0'), { role: 'port', type: '', ofport, externalIds: new Map([['container', 'c0']]) });
  const internal = await ovs.addPort({ name: 'g0', externalIds: {}, type: 'internal', mac: parseMac('02:00:00:00:00:01'), mtu: 1400 });
  t.not(internal, ofport);
  t.match(findLink(openVSwitch.netns, 'g0'), { address: '02:00:00:00:00:01', mtu: 1400 });
  await ovs.removePorts(['p0', 'g0', 'never']);
  t.same(listPorts(openVSwitch), []);
  t.equal(findLink(openVSwitch.netns, 'g0'), undefined);
  t.ok(findLink(openVSwitch.netns, 'p0'), 'a device that weft gave stays');
  await ovs.removePorts(['p0']);
});

t.test('30 ports at once, by two switches, and gone at once', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const [daemon, plugin] = [open(), open()];
  const names = makeDevices(openVSwitch, 30);
  const numbers = await Promise.all(names.map((name, index) => (index % 3 === 0 ? plugin : daemon).addPort({ name, externalIds: { index: String(index) } })));
  t.equal(new Set(numbers).size, 30);
  t.same(listPorts(openVSwitch), [...names].sort());
  for (const ovs of [daemon, plugin]) await until(() => names.every((name, index) => ovs.ports().get(name)?.ofport === numbers[index]));
  await Promise.all(names.map((name) => daemon.removePorts([name])));
  t.same(listPorts(openVSwitch), []);
});

t.test('those of one turn are one transaction; what one is refused for is not the others’ fault', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const ovs = open();
  makeDevices(openVSwitch, 3);
  await ovs.ready();
  openVSwitch.vsctl('add-br', 'br0', '--', 'set', 'Bridge', 'br0', 'datapath_type=netdev', '--', 'add-port', 'br0', 'p2');
  await hearOf(openVSwitch, ovs);
  const before = Number(readColumn(openVSwitch, 'Open_vSwitch', '.', 'next_cfg'));
  const outcomes = await Promise.allSettled(['p0', 'p1', 'p2', 'absent'].map((name) => ovs.addPort({ name, externalIds: {} })));
  t.same(outcomes.map(({ status }) => status), ['fulfilled', 'fulfilled', 'rejected', 'rejected']);
  t.match(outcomes.map((outcome) => (outcome as Partial<PromiseRejectedResult>).reason), [undefined, undefined,
    { code: 'foreignObject', message: /p2: Open vSwitch has one of this name that weft did not make/, details: /del-port p2/ },
    { code: 'kernelRefused', message: /absent: could not open network device absent \(No such device\)/ }]);
  t.same(listPorts(openVSwitch), ['p0', 'p1'], 'the row that failed is gone');
  t.equal(Number(readColumn(openVSwitch, 'Open_vSwitch', '.', 'next_cfg')) - before, 2, 'all with one, and one to take back');
  await ovs.removePorts(['p2']);
  t.same(listPorts(openVSwitch, 'br0'), ['p2'], "somebody else's stays");
});

t.test('a port in the place of a stale one is alive', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const ovs = open();
  const { netns } = openVSwitch;
  const ends = { a: createNetns(t, 'a'), b: createNetns(t, 'b') };
  const wire = (name: string, end: 'a' | 'b'): void => {
    run('ip', ['-n', netns, 'link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', ends[end]]);
    run('ip', ['-n', netns, 'link', 'set', name, 'up']);
    run('ip', ['-n', ends[end], '-batch', '-'], `addr add 192.0.2.${end === 'a' ? 1 : 2}/24 dev eth0\nlink set eth0 up\n`);
  };
  const ping = (): string => runIn(ends.a, 'ping', '-c', '1', '-w', '10', '192.0.2.2');
  wire('va', 'a');
  wire('vb', 'b');
  await Promise.all(['va', 'vb'].map((name) => ovs.addPort({ name, externalIds: {} })));
  openVSwitch.ofctl('add-flow', 'weft-int', 'actions=NORMAL');
  t.match(ping(), / 1 received/);
  run('ip', ['-n', netns, 'link', 'del', 'va']);
  wire('va', 'a');
  await Promise.all([ovs.addPort({ name: 'va', externalIds: { again: 'yes' } }), ovs.addPort({ name: 'va', externalIds: { again: 'twice' } })]);
  t.match(ping(), / 1 received/);
  t.match(readColumn(openVSwitch, 'Interface', 'va', 'external_ids'), /again=twice/, 'one behind the other');
});

t.test('the tunnel is made once, put right, and its error told', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const ovs = open();
  const ofport = await ovs.ensureTunnel(vxlan);
  const name = tunnelName(vxlan);
  t.same(await Promise.all([ovs.ensureTunnel(vxlan), open().ensureTunnel(vxlan)]), [ofport, ofport]);
  t.equal(readColumn(openVSwitch, 'Interface', name, 'options'), '{csum="false", dst_port="4789", key=flow, local_ip="192.0.2.1", remote_ip=flow}');
  t.match(ovs.ports().get(name), { role: 'tunnel', type: 'vxlan', ofport });
  openVSwitch.vsctl('set', 'Interface', name, 'options:key=7', 'options:local_ip=192.0.2.9');
  await hearOf(openVSwitch, ovs);
  t.equal(await ovs.ensureTunnel(vxlan), ofport, 'flows keep its number');
  t.match(readColumn(openVSwitch, 'Interface', name, 'options'), /key=flow, local_ip="192.0.2.1"/);
  t.not(await ovs.ensureTunnel({ ...vxlan, type: 'geneve', port: 6081 }), ofport);
  openVSwitch.vsctl('add-port', 'weft-int', 'other', '--', 'set', 'Interface', 'other', 'type=vxlan', 'options:remote_ip=flow', 'options:key=flow', 'options:local_ip=192.0.2.3');
  const clash = { ...vxlan, local: parseAddress('192.0.2.3') };
  await t.rejects(ovs.ensureTunnel(clash), { code: 'kernelRefused', message: /Open vSwitch cannot open the port weft-t\w+: could not add network device/ });
  t.notOk(listPorts(openVSwitch).includes(tunnelName(clash)));
});

t.test('a network device that vanished is seen in its port, and told', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const ovs = open();
  makeDevices(openVSwitch, 2);
  await Promise.all(['p0', 'p1'].map((name) => ovs.addPort({ name, externalIds: {} })));
  const isGone = (): boolean => ovs.ports().get('p0')?.ifIndex === 0;
  const gone = new Promise<void>((resolve) => ovs.onPortsChanged((names) => names.has('p0') && isGone() && resolve()));
  run('ip', ['-n', openVSwitch.netns, 'link', 'del', 'p0']);
  await gone;
  t.match(ovs.ports().get('p0'), { ifIndex: 0, isLinkUp: false });
  t.ok(ovs.ports().get('p0')?.ofport, 'nothing else tells');
  const needed = { ports: new Set(['p0', 'p1']), tunnels: new Set<string>() };
  t.same(await ovs.collect(needed), [], 'not before it was seen twice');
  t.same(await ovs.collect(needed), ['the port p0 of Open vSwitch, whose network device is gone']);
  t.same(listPorts(openVSwitch), ['p1']);
});

t.test('what belongs to nothing is collected, and nothing of anybody else', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const ovs = open();
  makeDevices(openVSwitch, 3);
  await Promise.all(['p0', 'p1'].map((name) => ovs.addPort({ name, externalIds: {} })));
  await ovs.ensureTunnel(vxlan);
  openVSwitch.vsctl('add-port', 'weft-int', 'p2');
  openVSwitch.vsctl('--id=@q', 'create', 'Queue', 'external_ids:weft=port', '--', '--id=@qos', 'create', 'QoS', 'type=linux-htb', 'queues:0=@q', 'external_ids:weft=port', '--', 'set', 'Port', 'p0', 'qos=@qos');
  openVSwitch.vsctl('create', 'QoS', 'type=linux-htb');
  await hearOf(openVSwitch, ovs);
  const words = await ovs.collect({ ports: new Set(['p1']), tunnels: new Set([tunnelName(vxlan)]) });
  t.match(words, ['the port p0 of Open vSwitch', /^the QoS \S+ of Open vSwitch, which no port uses$/, /^the Queue \S+ of Open vSwitch/]);
  t.equal(words.length, 3);
  t.same(listPorts(openVSwitch), ['p1', 'p2', tunnelName(vxlan)].sort());
  t.match(openVSwitch.vsctl('--columns=external_ids', '--format=csv', '--no-heading', 'list', 'QoS'), /^\{\}\n$/);
  const adding = ovs.addPort({ name: 'p0', externalIds: {} });
  t.equal((await ovs.collect(nothing)).length, 2, 'a port that is being added is not looked at');
  await adding;
  t.same(listPorts(openVSwitch), ['p0', 'p2']);
});

t.test('what somebody else does to weft’s ports is told, what weft does is not', { skip }, async (t) => {
  const { openVSwitch, open } = await createScene(t);
  const ovs = open();
  makeDevices(openVSwitch, 3);
  const told: string[] = [];
  let lost = 0;
  ovs.onFlowsLost(() => (lost += 1));
  await Promise.all(['p0', 'p1', 'p2'].map((name) => ovs.addPort({ name, externalIds: {} })));
  ovs.onPortsChanged((names) => {
    for (const name of names) if (!ovs.ports().has(name)) told.push(name);
  });
  await ovs.removePorts(['p0']);
  openVSwitch.vsctl('del-port', 'p1');
  await until(() => told.length > 0);
  await ovs.removePorts(['p1']);
  t.same(told, ['p1']);
  await ovs.ready();
  openVSwitch.vsctl('del-br', 'weft-int');
  await ovs.ready();
  await until(() => told.length > 1);
  t.same(told, ['p1', 'p2']);
  await ovs.ready();
  await until(() => lost > 0);
  t.equal(openVSwitch.vsctl('list-br'), 'weft-int\n');
});

/** Has the switch know what ovs-vsctl did before: it is told in order. */
async function hearOf(openVSwitch: OpenVSwitch, ovs: OvsSwitch): Promise<void> {
  openVSwitch.vsctl('add-port', 'weft-int', 'marker', '--', 'set', 'Interface', 'marker', 'type=internal', '--', 'set', 'Port', 'marker', 'external_ids:weft=port', '--', 'set', 'Interface', 'marker', 'external_ids:weft=port');
  await until(() => ovs.ports().has('marker'));
  await ovs.removePorts(['marker']);
}
