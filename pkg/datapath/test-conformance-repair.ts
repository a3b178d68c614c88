/** The part of the conformance suite on repairs: what check() says is wrong is put right, or left for a reason; what is whole is not touched. */
import t from 'tap';
import type { AttachmentPort, Segment } from '../overlay/model.ts';
import { netnsId } from '../sys/netns.ts';
import { run } from '../testing/command.ts';
import { netnsPath } from '../testing/netns.ts';
import { findLink, readAddresses, readRoutes } from '../testing/observe.ts';
import { completed, joinRepairs, type Repair } from './fault.ts';
import type { PortToRepair } from './repair.ts';
import type { DatapathUnderTest } from './test-conformance.ts';
import { containerDamages } from './test-conformance-check.ts';
import { blue, canPing, createContainer, createNode, testPort, withGateway, type TestContainer, type TestNode } from './test-node.ts';
import { recordingKernel } from './test-writes.ts';

/** What a pass over a segment and its ports did, and what it wrote. */
export interface Pass extends Repair {
  readonly writes: readonly string[];
}

/** The ledger's words for a test's attachment. */
export function toRepair(segment: Segment, port: AttachmentPort, { netns }: TestContainer): PortToRepair {
  return { segment, port, netns: netnsPath(netns), netnsId: netnsId(netnsPath(netns)) };
}

/** Goes through segments and their ports as the reconciler does. */
export async function repairAll(node: TestNode, ports: readonly PortToRepair[]): Promise<Pass> {
  const writes: string[] = [];
  const datapath = node.withKernel((kernel) => recordingKernel(kernel, writes));
  const segments = [...new Set(ports.map(({ segment }) => segment))];
  const seen = await datapath.observe(segments);
  const repairs = [...segments.map((segment) => datapath.repairSegment(segment, seen)), ...ports.flatMap((port) => [datapath.repairPort(port, seen), datapath.repairContainer(port)])];
  return { ...joinRepairs(...await Promise.all(repairs.map(completed))), writes };
}

const whole: Pass = { repaired: [], left: [], failed: [], writes: [] };

interface Stage {
  readonly node: TestNode;
  readonly container: TestContainer;
  readonly request: PortToRepair;
  pass(): Promise<Pass>;
  inside(...lines: readonly string[]): void;
  faults(): Promise<readonly string[]>;
}

/** One attachment of blue, with its gateway on the node. */
async function createStage(scope: Parameters<typeof createNode>[0], { create }: DatapathUnderTest): Promise<Stage> {
  const [node, container] = [await createNode(scope, create), createContainer(scope)];
  const [segment, port] = [withGateway(blue), testPort(blue, 5)];
  await node.datapath.attach({ segment, port, netnsFd: container.fd });
  const request = toRepair(segment, port, container);
  return {
    node, container, request,
    pass: () => repairAll(node, [request]),
    inside: (...lines) => lines.forEach((line) => run('ip', ['-n', container.netns, ...line.split(' ')])),
    faults: () => node.datapath.check({ segment, port, netnsFd: container.fd }),
  };
}

/** What is said of damage and left, being the container's own choice. */
const choices: readonly { readonly what: string; readonly lines: readonly string[]; readonly left: readonly string[]; readonly back: readonly string[] }[] = [
  { what: 'a smaller MTU', lines: ['link set eth0 mtu 1400'], left: ["the container's interface eth0 has MTU 1400 instead of 1450"], back: ['link set eth0 mtu 1450'] },
  { what: 'another name', lines: ['link set eth0 down', 'link set eth0 name net7', 'link set net7 up'], left: ["the container's interface eth0 is missing"], back: ['link set net7 down', 'link set net7 name eth0', 'link set eth0 up'] },
  {
    what: 'a default route by another interface', left: ['the container lacks the route to 0.0.0.0/0'], back: ['link del v0', 'route add default via 10.1.1.1'],
    lines: ['link add v0 type veth peer name v1', 'link set v0 up', 'address add 192.168.9.1/24 dev v0', 'route replace default via 192.168.9.2'],
  },
];

/** Tests repairs. */
export function conformanceOfRepair(subject: DatapathUnderTest): void {
  const { skip } = subject;
  void t.test('a repair puts right what is damaged in the container, says so, and then writes nothing', { skip }, async (t) => {
    const { container, pass, inside, faults } = await createStage(t, subject);
    t.same(await pass(), whole, 'whole before');
    for (const { what, lines, faults: expected } of containerDamages.filter((damage) => damage.what !== 'another MTU')) {
      inside(...lines);
      const { repaired, left, failed } = await pass();
      t.same({ left, failed }, { left: [], failed: [] }, what);
      t.same(repaired.map((text) => text.slice(0, text.lastIndexOf(': '))), expected, what);
      t.same(await faults(), [], `${what}: whole again`);
      t.same(await pass(), whole, `${what}: nothing more to do`);
      t.ok(canPing(container, '10.1.1.1'), what);
    }
    t.same(readAddresses(container.netns, 'eth0').filter(({ scope }) => scope === 'global').map(({ local, prefixlen }) => `${local}/${prefixlen}`).sort(), ['10.1.1.5/24', '10.1.1.5/32', 'fd00:1::5/64'], 'the other length, which the container was given, stays');
    t.match(readRoutes(container.netns, 6).find((route) => route.dst === 'default'), { gateway: 'fd00:1::1', metrics: [{ mtu: 1300 }] });
  });

  void t.test('an IPv6 address with another length is replaced', { skip }, async (t) => {
    const { container, pass, inside } = await createStage(t, subject);
    inside('address del fd00:1::5/64 dev eth0', 'address add fd00:1::5/128 dev eth0 nodad');
    t.same((await pass()).repaired, ['the container lacks the address fd00:1::5/64: added']);
    t.same(readAddresses(container.netns, 'eth0').filter(({ scope, family }) => scope === 'global' && family === 'inet6').map(({ prefixlen }) => prefixlen), [64]);
    t.same(await pass(), whole);
  });

  void t.test('a larger MTU in the container is lowered', { skip }, async (t) => {
    const { container, pass, inside } = await createStage(t, subject);
    inside('link set eth0 mtu 1500');
    t.same((await pass()).repaired, ["the container's interface eth0 has MTU 1500 instead of 1450: lowered"]);
    t.equal(findLink(container.netns, 'eth0')?.mtu, 1450);
    t.same(await pass(), whole);
  });

  conformanceOfLeaving(subject);
  conformanceOfBridged(subject);
  conformanceOfNewPorts(subject);
}

function conformanceOfLeaving(subject: DatapathUnderTest): void {
  const { skip } = subject;
  void t.test('what a container may have chosen is said, and left', { skip }, async (t) => {
    const { pass, inside, faults } = await createStage(t, subject);
    for (const { what, lines, left, back } of choices) {
      inside(...lines);
      const before = await faults();
      t.same(await pass(), { ...whole, left }, what);
      t.same(await faults(), before, `${what}: as it was`);
      inside(...back);
      await pass();
      t.same(await faults(), [], `${what}: taken back`);
    }
  });

  void t.test('an interface that is down is left so; when it is up again, what it lost comes back', { skip }, async (t) => {
    const { container, pass, inside, faults } = await createStage(t, subject);
    inside('link set eth0 down');
    const down = await pass();
    t.same([down.repaired, down.failed, down.writes], [[], [], []]);
    t.ok(down.left.includes("the container's interface eth0 is down"));
    inside('link set eth0 up');
    t.same((await pass()).repaired, ['the container lacks the address fd00:1::5/64: added', 'the container lacks the route to 0.0.0.0/0: added', 'the container lacks the route to ::/0: added']);
    t.same(await faults(), []);
    t.ok(canPing(container, '10.1.1.1'));
  });

  void t.test('a container that has switched IPv6 off keeps it so', { skip }, async (t) => {
    const { container, pass } = await createStage(t, subject);
    run('ip', ['netns', 'exec', container.netns, 'sysctl', '-q', '-w', 'net.ipv6.conf.eth0.disable_ipv6=1']);
    const { repaired, left, failed } = await pass();
    t.same([repaired, failed], [[], []]);
    t.match(left, [/^the container lacks the address fd00:1::5\/64: Cannot add address/, /^the container lacks the route to ::\/0: Cannot add route/]);
    t.ok(canPing(container, '10.1.1.1'));
  });
}

/** What KubeVirt's bridge binding does, and the guest behind it: its interface is the bridge's own, with the MAC and the address. */
const bridged = [
  'link add k6t-eth0 type bridge', 'link set eth0 down', 'address flush dev eth0', 'link set eth0 address 02:00:00:00:00:99', 'link set eth0 master k6t-eth0', 'link set eth0 up',
  'link add tap0 type veth peer name guest0', 'link set guest0 address 02:00:00:00:00:05', 'link set tap0 master k6t-eth0 up', 'link set k6t-eth0 up', 'link set guest0 up', 'address add 10.1.1.5/24 dev guest0',
];

function conformanceOfBridged(subject: DatapathUnderTest): void {
  const { skip } = subject;
  void t.test('an interface that the container has put into a bridge is its own business', { skip }, async (t) => {
    const { container, pass, inside, faults } = await createStage(t, subject);
    inside(...bridged);
    t.same(await faults(), []);
    t.same(await pass(), whole);
    t.ok(canPing(container, '10.1.1.1'), 'the guest behind it has its network');
    t.equal(findLink(container.netns, 'eth0')?.address, '02:00:00:00:00:99');
    inside('link set eth0 mtu 1400');
    t.same([await faults(), await pass()], [[], whole], 'a smaller MTU');
    inside('link set eth0 mtu 1500');
    t.same(await faults(), ["the container's interface eth0 has MTU 1500 instead of 1450"]);
    t.same((await pass()).repaired, ["the container's interface eth0 has MTU 1500 instead of 1450: lowered"]);
    t.same(await pass(), whole);
    inside('link del k6t-eth0', 'link del tap0');
    const damage = ["the container's interface eth0 has MAC 02:00:00:00:00:99 instead of 02:00:00:00:00:05", 'the container lacks the address 10.1.1.5/24', 'the container lacks the address fd00:1::5/64'];
    t.same((await faults()).slice(0, damage.length), damage, 'out of it again');
    t.same((await pass()).repaired.length, 5, 'out of it again');
    t.same([await faults(), await pass()], [[], whole]);
    t.ok(canPing(container, '10.1.1.1'));
  });
}

function conformanceOfNewPorts(subject: DatapathUnderTest): void {
  const { skip } = subject;
  void t.test('a port that is gone is made anew while its container lives', { skip }, async (t) => {
    const { node, container, request, pass, inside, faults } = await createStage(t, subject);
    inside('link del eth0');
    t.same((await pass()).repaired, [`the host interface ${request.port.hostIf} is missing: made anew`]);
    t.same(await faults(), []);
    t.ok(canPing(container, '10.1.1.1'));
    t.same(await pass(), whole);
    run('ip', ['-n', node.netns, 'link', 'del', request.port.hostIf]);
    inside('link add eth0 type bridge');
    const taken = await pass();
    t.match(taken.failed, [/is missing: CNI_IFNAME must be a name that is free in the container: eth0 exists$/], 'its name is taken');
    t.match(findLink(container.netns, 'eth0'), { linkinfo: { info_kind: 'bridge' } });
  });

  void t.test('of a container that is gone, or has another one in its place, nothing is repaired', { skip }, async (t) => {
    const { node, request, pass, faults } = await createStage(t, subject);
    const other = { ...request, netnsId: '4:1' };
    t.match(await repairAll(node, [other]), { ...whole, isGone: true }, 'another namespace under the path');
    t.same(await faults(), []);
    run('ip', ['-n', node.netns, 'link', 'del', request.port.hostIf]);
    t.match(await repairAll(node, [other]), { ...whole, isGone: true }, 'with its port gone too');
    t.match(await repairAll(node, [{ ...request, netns: `${request.netns}-gone` }]), { ...whole, isGone: true }, 'no namespace under the path');
    t.match((await pass()).repaired, [/made anew$/]);
  });
}
