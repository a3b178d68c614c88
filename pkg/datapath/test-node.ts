/** Nodes, containers and tenants for the tests of datapaths: real namespaces, and values that collide in nothing. */
import { closeSync } from 'node:fs';
import { parseAddress, parseInterfaceAddress, parseMac, parsePrefix, parseVni } from '../netaddr/netaddr.ts';
import type { AttachmentPort, Segment } from '../overlay/model.ts';
import { portAlias, portName } from '../overlay/names.ts';
import { insideNetns, openNetns } from '../sys/netns.ts';
import { run, runIn } from '../testing/command.ts';
import { createNetns, netnsPath, type TeardownScope } from '../testing/netns.ts';
import { bridgeJson, ipJson, readLinks, readRoutes, readRuleset, type ObservedFdbEntry } from '../testing/observe.ts';
import type { Datapath, SegmentRemoval } from './datapath.ts';
import { openKernel, type Kernel, type KernelOptions } from './kernel.ts';

export type DatapathFactory = (kernel: Kernel) => Datapath;

/** A datapath that needs more of a node than a kernel. */
export interface DatapathKind {
  /** Gets a node ready whose link u0 leads to the underlay; it gives the addresses to the link that is to carry them. */
  prepare(scope: TeardownScope, node: { readonly netns: string; readonly addresses: readonly string[] }): Promise<void>;
  /** A datapath of the node. */
  create(kernel: Kernel, node: { readonly scope: TeardownScope; readonly netns: string }): Datapath;
}

/** A namespace that stands for a container. */
export interface TestContainer {
  readonly netns: string;
  readonly fd: number;
}

/** A namespace that stands for a node, with the link u0 as underlay. */
export interface TestNode extends TestContainer {
  /** The datapath under test, over the node's kernel. */
  readonly datapath: Datapath;
  readonly kernel: Kernel;
  /** Another datapath on this node, over a kernel of the test's choice. */
  withKernel(change: (kernel: Kernel) => Kernel): Datapath;
}

/** The n-th container's namespace. */
export function createContainer(scope: TeardownScope, label = 'container'): TestContainer {
  const netns = createNetns(scope, label);
  const fd = openNetns(netnsPath(netns));
  scope.teardown(() => closeSync(fd));
  return { netns, fd };
}

/** One node, whose underlay leads nowhere. */
export async function createNode(scope: TeardownScope, create: DatapathFactory | DatapathKind, options?: KernelOptions): Promise<TestNode> {
  const [node] = await createNodes(scope, create, options);
  return node;
}

/** Two nodes, 192.0.2.1 and 192.0.2.2 on one underlay, and 2001:db8:ffff::1 and ::2. */
export async function createNodes(scope: TeardownScope, create: DatapathFactory | DatapathKind, options?: KernelOptions): Promise<readonly [TestNode, TestNode]> {
  const kind = typeof create === 'function' ? { create, prepare: useLink } : create;
  const [first, second] = [createContainer(scope, 'node1'), createContainer(scope, 'node2')];
  run('ip', ['link', 'add', 'u0', 'netns', first.netns, 'type', 'veth', 'peer', 'name', 'u0', 'netns', second.netns]);
  const nodeOf = async ({ netns, fd }: TestContainer, n: number): Promise<TestNode> => {
    await kind.prepare(scope, { netns, addresses: [`192.0.2.${n}/24`, `2001:db8:ffff::${n}/64`] });
    const kernel = insideEveryCall(fd, openKernel(options));
    scope.teardown(() => kernel.close());
    const withKernel = (change: (kernel: Kernel) => Kernel): Datapath => kind.create(change(kernel), { scope, netns });
    return { netns, fd, kernel, withKernel, datapath: withKernel((plain) => plain) };
  };
  return Promise.all([nodeOf(first, 1), nodeOf(second, 2)]);
}

/** The underlay's link carries the addresses itself. */
function useLink(_scope: TeardownScope, { netns, addresses }: { readonly netns: string; readonly addresses: readonly string[] }): Promise<void> {
  const lines = ['link set u0 addrgenmode none', 'link set u0 up', ...addresses.map((address) => `address add ${address} dev u0${address.includes(':') ? ' nodad' : ''}`)];
  run('ip', ['-n', netns, '-batch', '-'], `${lines.join('\n')}\n`);
  return Promise.resolve();
}

/** Whatever is asked of the kernel, asked with the thread inside the namespace: sockets and sysctls are the node's. */
export function insideEveryCall(fd: number, kernel: Kernel): Kernel {
  return new Proxy(kernel, {
    get(target, key): unknown {
      const member: unknown = insideNetns(fd, () => Reflect.get(target, key, target));
      return typeof member === 'function' ? (...args: unknown[]) => insideNetns(fd, () => Reflect.apply(member, target, args) as unknown) : member;
    },
  });
}

/** Tenant blue as node 1 has it. */
export const blue: Segment = {
  tenant: 'blue', vni: parseVni(1001), vtepAddress: parseAddress('192.0.2.1'), vtepPort: 4789, underlayMtu: 1500, overlayMtu: 1450,
  peers: [parseAddress('192.0.2.2')],
};
/** Tenant red: the highest VNI, and the same addresses as blue. */
export const red: Segment = { ...blue, tenant: 'red', vni: parseVni(16777215) };

/** The segment as node 2 has it. */
export function onNode2(segment: Segment): Segment {
  return { ...segment, vtepAddress: parseAddress('192.0.2.2'), peers: [parseAddress('192.0.2.1')] };
}

/** The segment with this host as gateway. */
export function withGateway(segment: Segment, masquerade = true): Segment {
  return { ...segment, gateway: { addresses: [parseInterfaceAddress('10.1.1.1/24'), parseInterfaceAddress('fd00:1::1/64')], masquerade } };
}

/** The tenant's n-th container, with 10.1.1.<n>, fd00:1::<n> and two default routes. */
export function testPort(segment: Segment, n: number, overrides: Partial<AttachmentPort> = {}): AttachmentPort {
  const key = { network: segment.tenant, containerId: `c${n}`, ifName: 'eth0' };
  return {
    vni: segment.vni, hostIf: portName(key), containerIf: 'eth0', mac: parseMac(`02:00:00:00:00:${n.toString(16).padStart(2, '0')}`), mtu: segment.overlayMtu,
    alias: portAlias(key, segment.tenant),
    addresses: [parseInterfaceAddress(`10.1.1.${n}/24`), parseInterfaceAddress(`fd00:1::${n}/64`)],
    routes: [
      { dst: parsePrefix('0.0.0.0/0'), gateway: parseAddress('10.1.1.1') },
      { dst: parsePrefix('::/0'), gateway: parseAddress('fd00:1::1'), mtu: 1300 },
    ],
    ...overrides,
  };
}

/** Removes a segment, and what the node then no longer needs, as the engine does. */
export async function removeSegment(datapath: Datapath, removal: SegmentRemoval): Promise<void> {
  await datapath.removeSegment(removal);
  await datapath.trimGuard(removal.remaining);
}

/** Everything of a namespace that a datapath could change, read with the system's tools. */
export function observeNode({ netns }: TestContainer): unknown {
  return {
    // Of the flags only UP: carrier comes and goes a moment after its cause.
    links: readLinks(netns).map(({ ifname, ifindex, address, mtu, flags, master, ifalias, linkinfo }) => ({ ifname, ifindex, address, mtu, isUp: flags.includes('UP'), master, ifalias, kind: linkinfo?.info_kind })),
    addresses: ipJson<readonly { readonly addr_info: readonly { readonly local: string }[] }[]>(netns, 'address', 'show').flatMap((link) => link.addr_info.map(({ local }) => local)),
    routes: [...readRoutes(netns, 4), ...readRoutes(netns, 6)].map(({ dst, gateway, dev }) => `${dst} via ${gateway ?? '-'} dev ${dev ?? '-'}`),
    fdb: bridgeJson<readonly ObservedFdbEntry[]>(netns, 'fdb', 'show').filter((entry) => !isGroupMac(entry.mac)),
    // Those that come and go by themselves left out.
    neighbours: ipJson<readonly { readonly dst: string; readonly dev: string; readonly lladdr?: string }[]>(netns, 'neigh', 'show', 'nud', 'permanent').map(({ dst, dev, lladdr = '' }) => `${dst} ${dev} ${lladdr}`).sort(),
    ruleset: readRuleset(netns),
  };
}

/** Multicast groups that interfaces have joined, which follow from sysctls and addresses. */
function isGroupMac(mac: string): boolean {
  return mac.startsWith('33:33:') || mac.startsWith('01:00:5e:');
}

const answerDeadlineSeconds = 5;
/** Long enough for every answer on one machine, short enough to be waited for again and again. */
const silenceSeconds = 0.5;

/** Whether an echo request out of the container is answered. */
export function canPing(container: TestContainer, address: string): boolean {
  return isAnswered(container, address, answerDeadlineSeconds);
}

/** Whether echo requests out of the container go unanswered. */
export function isSilent(container: TestContainer, address: string): boolean {
  return !isAnswered(container, address, silenceSeconds);
}

/**
 * Whether echo requests out of the container go unanswered from soon on. Open vSwitch has a change of its flows confirmed when they stand in
 * its tables; what it remembers of connections it looks through right after that, on another thread: 1 ms later, on a busy machine 5 and more.
 */
export function fallsSilent(container: TestContainer, address: string): boolean {
  for (const deadline = performance.now() + answerDeadlineSeconds * 1000; performance.now() < deadline;) {
    if (isSilent(container, address)) return true;
  }
  return false;
}

function isAnswered({ netns }: TestContainer, address: string, deadlineSeconds: number): boolean {
  try {
    runIn(netns, 'ping', '-n', '-c', '1', '-W', String(deadlineSeconds), address);
    return true;
  } catch {
    return false;
  }
}
