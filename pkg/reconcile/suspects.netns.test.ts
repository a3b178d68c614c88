/** From what really happens in the kernel to what is looked at: damage by the system's own tools, and calls that do none. */
import t from 'tap';
import { linuxBridgeDatapath } from '../datapath/linuxbridge/linuxbridge.ts';
import { blue, createContainer, createNode, testPort, withGateway, type TestContainer, type TestNode } from '../datapath/test-node.ts';
import { decodeLink } from '../netlink/link.ts';
import { openKernelMonitor, type KernelEvent } from '../netlink/monitor.ts';
import { damagedTable } from '../nftables/nftables.ts';
import { bridgeName, shaperName, vxlanName } from '../overlay/names.ts';
import { run, runIn } from '../testing/command.ts';
import type { TeardownScope } from '../testing/netns.ts';
import { skipUnless } from '../testing/requirements.ts';
import type { Scope } from './scope.ts';
import { Suspects } from './suspects.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'tc'] });
const deadlineMs = 10_000;
const newLink = 16;
const segment = withGateway(blue);
const port = testPort(segment, 5, { bandwidth: { ingress: { rateBits: 80_000_000 }, egress: { rateBits: 40_000_000 } } });
const { hostIf } = port;
const [bridge, vxlan, shaper] = [bridgeName(segment.vni), vxlanName(segment.vni), shaperName(hostIf)];

/** A node whose events are gathered as the reconciler gathers them. */
interface Window {
  /** What is suspect of everything up to now. */
  close(): Promise<Scope | undefined>;
}

function watch(scope: TeardownScope, node: TestNode): Window {
  // No socket is the daemon's own: everything is done by others.
  const suspects = new Suspects({ route: -1, netfilter: -1 });
  let marks = 0;
  const missing = new Set<KernelEvent['protocol']>();
  let onChange: () => void = () => undefined;
  const monitor = openKernelMonitor({
    netnsFd: node.fd,
    onEvents(events) {
      suspects.note(events);
      for (const event of events) if (isMark(event, marks)) missing.delete(event.protocol);
      onChange();
    },
    onOverrun: () => t.fail('no event may be lost'),
    onFailure: (error) => t.fail(String(error)),
  });
  scope.teardown(() => monitor.close());
  return {
    async close() {
      marks += 1;
      for (const protocol of ['route', 'netfilter'] as const) missing.add(protocol);
      makeMark(node, marks);
      await deadline((resolve) => {
        onChange = () => (missing.size === 0 ? resolve() : undefined);
        onChange();
      });
      return suspects.take();
    },
  };
}

/** Makes an event of each kind: when they have come, so has everything before them. */
function makeMark({ netns }: TestNode, count: number): void {
  run('ip', ['-n', netns, 'link', 'add', `mark${count}`, 'type', 'ifb']);
  runIn(netns, 'nft', 'add table inet window-end; delete table inet window-end');
}

function isMark({ protocol, message }: KernelEvent, count: number): boolean {
  if (protocol === 'netfilter') return damagedTable(message) === 'window-end';
  return message.type === newLink && message.payload[0] === 0 && decodeLink(message).name === `mark${count}`;
}

function deadline(wait: (resolve: () => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('the mark did not come')), deadlineMs);
    wait(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Everything a scope points to. */
function namesIn(scope: Scope | undefined): string[] {
  if (scope === undefined) return [];
  return [...[...scope.vnis].map((vni) => `segment ${vni}`), ...scope.hostIfs, ...(scope.guard ? ['guard'] : []), ...(scope.underlay ? ['underlay'] : [])].sort();
}

function argumentsOf(command: string): string[] {
  return command.split(/ (?![^{]*\})/);
}

/** What somebody does on the node or, with `inside`, in the container, and what must be looked at then, among other things. */
const damages: readonly { readonly command: string; readonly inside?: true; readonly looks: readonly string[] }[] = [
  { command: `ip link del ${vxlan}`, looks: ['segment 1001'] },
  { command: `ip link set ${bridge} down`, looks: ['segment 1001'] },
  { command: `ip link set ${vxlan} nomaster`, looks: ['segment 1001'] },
  { command: `ip link set ${bridge} mtu 1400`, looks: ['segment 1001'] },
  { command: `bridge fdb del 00:00:00:00:00:00 dev ${vxlan} dst 192.0.2.2`, looks: ['segment 1001'] },
  { command: `ip address del 10.1.1.1/24 dev ${bridge}`, looks: ['segment 1001'] },
  { command: `ip link del ${bridge}`, looks: ['segment 1001'] },
  { command: `ip link set ${hostIf} down`, looks: [hostIf] },
  { command: `ip link set ${hostIf} nomaster`, looks: [hostIf] },
  { command: `ip link set ${hostIf} mtu 1400`, looks: [hostIf] },
  { command: `ip link set ${hostIf} arp on`, looks: [hostIf] },
  { command: `ip link set ${hostIf} type bridge_slave learning on`, looks: [hostIf] },
  { command: `bridge link set dev ${hostIf} learning on`, looks: [hostIf] },
  { command: `ip link set ${shaper} down`, looks: [hostIf] },
  { command: `ip link del ${shaper}`, looks: [hostIf] },
  { command: `tc qdisc del dev ${shaper} root`, looks: [hostIf] },
  { command: `ip route del 10.1.1.0/24 dev ${bridge}`, looks: ['segment 1001'] },
  { command: `ip link set ${vxlan} type vxlan nolearning`, looks: ['segment 1001'] },
  { command: `bridge fdb del ${port.mac} dev ${hostIf} master`, looks: [hostIf] },
  { command: `tc qdisc del dev ${hostIf} root`, looks: [hostIf] },
  { command: `tc filter del dev ${hostIf} ingress`, looks: [hostIf] },
  { command: `tc qdisc del dev ${hostIf} ingress`, looks: [hostIf] },
  { command: `ip link del ${hostIf}`, looks: [hostIf] },
  { command: 'nft delete table bridge weft', looks: ['guard'] },
  { command: `nft delete element bridge weft ports { "${hostIf}" . ${port.mac} }`, looks: ['guard'] },
  { command: 'nft flush chain bridge weft from_container', looks: ['guard'] },
  { command: 'nft insert rule inet weft input accept', looks: ['guard'] },
  { command: 'nft flush ruleset', looks: ['guard'] },
  { command: 'ip address del 192.0.2.1/24 dev u0', looks: ['underlay'] },
  { command: 'ip address del 10.1.1.5/24 dev eth0', inside: true, looks: [hostIf] },
  { command: 'ip address del fd00:1::5/64 dev eth0', inside: true, looks: [hostIf] },
  { command: 'ip route del default', inside: true, looks: [hostIf] },
  { command: 'ip -6 route del default', inside: true, looks: [hostIf] },
  { command: 'ip link set eth0 down', inside: true, looks: [hostIf] },
  { command: 'ip link set eth0 address 02:00:00:00:00:99', inside: true, looks: [hostIf] },
  { command: 'ip link set eth0 mtu 1500', inside: true, looks: [hostIf] },
  { command: 'ip link del eth0', inside: true, looks: [hostIf] },
];

/** Removes the attachment and all of the tenant. */
async function remove(node: TestNode): Promise<void> {
  await node.datapath.detach(port, segment);
  await node.datapath.removeSegment({ segment, remaining: [] });
  node.datapath.trimGuard([]);
}

async function attach(node: TestNode, container: TestContainer): Promise<void> {
  await node.datapath.attach({ segment, port, netnsFd: container.fd });
}

void t.test('each kind of damage is heard and leads to what was damaged', { skip }, async (t) => {
  const [node, container] = [await createNode(t, linuxBridgeDatapath), createContainer(t)];
  const window = watch(t, node);
  for (const { command, inside, looks } of damages) {
    await attach(node, container);
    await window.close();
    const [tool = '', ...args] = argumentsOf(command);
    runIn(inside === true ? container.netns : node.netns, tool, ...args);
    const found = namesIn(await window.close());
    for (const name of looks) t.ok(found.includes(name), `${command}: ${name} is among ${found.join(', ')}`);
    await remove(node);
    await window.close();
    if (command.includes('192.0.2.1')) run('ip', ['-n', node.netns, 'address', 'add', '192.0.2.1/24', 'dev', 'u0']);
  }
});

void t.test('an ADD by another process costs no look at its port or its tenant', { skip }, async (t) => {
  const [node, first, second] = [await createNode(t, linuxBridgeDatapath), createContainer(t), createContainer(t)];
  const window = watch(t, node);
  await window.close();
  await node.datapath.attach({ segment: blue, port: testPort(blue, 5), netnsFd: first.fd });
  t.same(namesIn(await window.close()).filter((name) => name !== 'guard'), [], 'the node’s first makes the guard');
  await node.datapath.attach({ segment: blue, port: testPort(blue, 6), netnsFd: second.fd });
  t.same(namesIn(await window.close()), []);
});

void t.test('what is not weft’s is nobody’s business', { skip }, async (t) => {
  const [node, container] = [await createNode(t, linuxBridgeDatapath), createContainer(t)];
  const window = watch(t, node);
  await attach(node, container);
  await window.close();
  const lines = ['link add v0 type veth peer name v1', 'link set v0 up', 'link add weft0 type bridge', 'link set weft0 up', 'link set v0 master weft0', 'link del v0', 'link del weft0'];
  run('ip', ['-n', node.netns, '-batch', '-'], `${lines.join('\n')}\n`);
  runIn(node.netns, 'nft', 'add table inet other; add chain inet other c; add rule inet other c accept; delete table inet other');
  const scope = await window.close();
  t.same(namesIn(scope), []);
});
