/**
 * Nodes of an overlay for the tests of the flows, on one underlay: nodes whose switch has them, and a node of Linux bridges.
 *
 *     container c ── port ── br-int ── vxlan0 ─ ─ ─ br-phy (VTEP) ── u0 ──┐
 *                              └── gw<vni> (gateway)                      hub
 *     container k ── br<vni> ── vx<vni> ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ ─ (VTEP) u0 ┘
 */
import { closeSync } from 'node:fs';
import { formatAddress, formatInterfaceAddress, parseAddress, parseInterfaceAddress, parseMac, type Address, type Mac, type Vni } from '../../../netaddr/netaddr.ts';
import { openConnection, type OpenFlowConnection } from '../../../openflow/connection.ts';
import type { Flow } from '../../../openflow/flow.ts';
import { applyMods, sendPacket } from '../../../openflow/openflow.ts';
import { gatewayMac } from '../../../overlay/gateway-mac.ts';
import type { Gateway } from '../../../overlay/model.ts';
import { insideNetns, openNetns } from '../../../sys/netns.ts';
import { openPacketSender } from '../../../sys/packet.ts';
import { startCapture, type Capture } from '../../../testing/capture.ts';
import { run, runIn } from '../../../testing/command.ts';
import { createNetns, netnsPath, type TeardownScope } from '../../../testing/netns.ts';
import { startOpenVSwitch, type OpenVSwitch } from '../../../testing/openvswitch.ts';
import { announcementPackets, baseFlows, floodFlows, portFlows, segmentFlows, type LocalPort, type TenantNetwork } from './flows.ts';

const bridge = 'br-int';
const physical = 'br-phy';
const tunnelPort = 1;
export const vxlanUdpPort = 4789;

/** What joins the underlays of all nodes. */
export interface Hub {
  readonly netns: string;
  /** Of the VTEPs. */
  readonly family: 4 | 6;
}

/** A namespace that stands for a container or for a virtual machine, with its interface eth0. */
export interface Container extends LocalPort {
  readonly netns: string;
  /** Of the interface on the node. */
  readonly hostIf: string;
  /** Sends frames as they are, one behind the other. */
  send(...frames: readonly Uint8Array[]): void;
}

/** Whom a container is made as. */
export interface ContainerOptions {
  readonly vni: Vni;
  /** Its last byte of the MAC and the addresses. */
  readonly number: number;
  /** Default: 10.0.0.<number>/24 and fd00::<number>/64. */
  readonly addresses?: readonly string[];
}

/** Joins the underlays of nodes that are yet to be made. */
export function createHub(scope: TeardownScope, family: 4 | 6 = 4): Hub {
  const netns = createNetns(scope, 'hub');
  run('ip', ['-n', netns, 'link', 'add', 'hub', 'type', 'bridge', 'mcast_snooping', '0']);
  silence(netns, 'hub');
  return { netns, family };
}

/** Sets a link up without a link-local address, of which it would speak. In one message the kernel would do the second first. */
function silence(netns: string, ifname: string): void {
  for (const change of [['addrgenmode', 'none'], ['up']]) run('ip', ['-n', netns, 'link', 'set', ifname, ...change]);
}

/** The VTEP of the n-th node. */
export function vtepOf({ family }: Pick<Hub, 'family'>, n: number): Address {
  return parseAddress(family === 4 ? `192.0.2.${n}` : `2001:db8::${n}`);
}

function vtepMac(n: number): Mac {
  return parseMac(`02:aa:00:00:00:0${n}`);
}

/** A namespace with the link u0 to the hub. */
function createUnderlay(scope: TeardownScope, hub: Hub, n: number): string {
  const netns = createNetns(scope, `node${n}`);
  run('ip', ['link', 'add', 'u0', 'netns', netns, 'address', vtepMac(n), 'type', 'veth', 'peer', 'name', `n${n}`, 'netns', hub.netns]);
  run('ip', ['-n', hub.netns, 'link', 'set', `n${n}`, 'master', 'hub']);
  silence(hub.netns, `n${n}`);
  // Nobody has spoken yet, and what is for one node must not be flooded to the others.
  run('bridge', ['-n', hub.netns, 'fdb', 'add', vtepMac(n), 'dev', `n${n}`, 'master', 'static']);
  silence(netns, 'u0');
  return netns;
}

function withLength(address: Address): string {
  return formatInterfaceAddress({ address, length: address.family === 4 ? 24 : 64 });
}

/** A container whose interface on the node has the name given; what it says of its own accord is nothing. */
function createContainer(scope: TeardownScope, node: string, { hostIf, ofport, vni, number, addresses }: Required<ContainerOptions> & { readonly hostIf: string; readonly ofport: number }): Container {
  const netns = createNetns(scope, `c${number}`);
  const mac = parseMac(`02:00:00:00:00:${number.toString(16).padStart(2, '0')}`);
  run('ip', ['-n', node, 'link', 'add', hostIf, 'type', 'veth', 'peer', 'name', 'eth0', 'address', mac, 'netns', netns]);
  silence(node, hostIf);
  silence(netns, 'eth0');
  run('ip', ['-n', netns, '-batch', '-'], addresses.map((address) => `address add ${address} dev eth0${address.includes(':') ? ' nodad' : ''}`).join('\n'));
  const fd = openNetns(netnsPath(netns));
  const sender = insideNetns(fd, openPacketSender);
  scope.teardown(() => {
    sender.close();
    closeSync(fd);
  });
  const index = (JSON.parse(run('ip', ['-n', netns, '-j', 'link', 'show', 'eth0'])) as readonly { readonly ifindex: number }[])[0]?.ifindex ?? 0;
  return { netns, hostIf, ofport, port: { vni, mac, addresses: addresses.map((address) => parseInterfaceAddress(address)) }, send: (...frames) => frames.forEach((frame) => sender.send(index, frame)) };
}

function allOptions(options: ContainerOptions): Required<ContainerOptions> {
  return { addresses: [`10.0.0.${options.number}/24`, `fd00::${options.number}/64`], ...options };
}

/** A node with a switch. */
export class SwitchNode {
  readonly netns: string;
  readonly vtep: Address;
  readonly openVSwitch: OpenVSwitch;
  readonly connection: OpenFlowConnection;
  readonly #scope: TeardownScope;
  readonly #ports = new Map<Vni, readonly LocalPort[]>();
  #created = 0;

  constructor(scope: TeardownScope, parts: Pick<SwitchNode, 'netns' | 'vtep' | 'openVSwitch' | 'connection'>) {
    this.#scope = scope;
    this.netns = parts.netns;
    this.vtep = parts.vtep;
    this.openVSwitch = parts.openVSwitch;
    this.connection = parts.connection;
  }

  async add(flows: readonly Flow[]): Promise<void> {
    await applyMods(this.connection, flows.map((flow) => ({ kind: 'add', flow })));
  }

  /** Waits until what the datapath has cached is what the flows say, as it is some milliseconds after a change. */
  settle(): void {
    // The pass that is waited for may have begun before the change: the next has not.
    for (let pass = 0; pass < 2; pass += 1) this.openVSwitch.appctl('ovs-vswitchd', 'revalidator/wait');
  }

  /** The tenant on this node; with a gateway, its interface has the addresses. */
  async addTenant(vni: Vni, peers: readonly Address[], gateway?: Gateway): Promise<TenantNetwork> {
    const segment = { vni, vtepAddress: this.vtep, peers };
    const network = gateway === undefined ? { segment, tunnel: tunnelPort } : { segment: { ...segment, gateway }, tunnel: tunnelPort, gateway: this.#addGateway(vni, gateway) };
    await this.add([...segmentFlows(network), ...floodFlows(network, [])]);
    return network;
  }

  #addGateway(vni: Vni, { addresses }: Gateway): number {
    const [name, ofport] = [`gw${vni}`, 50];
    this.openVSwitch.vsctl('add-port', bridge, name, '--', 'set', 'interface', name, 'type=internal', `ofport_request=${ofport}`, `mac="${gatewayMac(vni)}"`);
    run('ip', ['-n', this.netns, '-batch', '-'], [`link set ${name} addrgenmode none`, `link set ${name} up`, ...addresses.map((address) => `address add ${formatInterfaceAddress(address)} dev ${name} ${address.address.family === 6 ? 'nodad' : ''}`)].join('\n'));
    return ofport;
  }

  /** A container with a port and no flows. */
  addContainer(options: ContainerOptions): Container {
    this.#created += 1;
    const [hostIf, ofport] = [`v${this.#created}`, 100 + this.#created];
    const container = createContainer(this.#scope, this.netns, { ...allOptions(options), hostIf, ofport });
    // The kernel gets a copy of what comes in, which is the switch's alone.
    dropFrom(this.netns, hostIf);
    this.openVSwitch.vsctl('add-port', bridge, hostIf, '--', 'set', 'interface', hostIf, `ofport_request=${ofport}`);
    return container;
  }

  /** A container with all of its flows. */
  async attach(network: TenantNetwork, options: Omit<ContainerOptions, 'vni'>): Promise<Container> {
    const container = this.addContainer({ ...options, vni: network.segment.vni });
    await this.bring(network, container);
    return container;
  }

  /** Gives a container its flows. */
  async bring(network: TenantNetwork, container: LocalPort): Promise<void> {
    await this.setPorts(network, [...(this.#ports.get(network.segment.vni) ?? []), container]);
    await this.add(portFlows(container));
  }

  async setPorts(network: TenantNetwork, ports: readonly LocalPort[]): Promise<void> {
    this.#ports.set(network.segment.vni, ports);
    await this.add(floodFlows(network, ports));
  }

  async announce(network: TenantNetwork, local: LocalPort): Promise<void> {
    for (const packet of announcementPackets(network, local)) await sendPacket(this.connection, packet);
  }

  /** What comes and goes on the wire. */
  async captureUnderlay(scope: TeardownScope): Promise<Capture> {
    return startCapture(scope, this.netns, 'u0');
  }
}

/** Keeps the kernel of a namespace from handling what comes in by an interface. */
function dropFrom(netns: string, ifname: string): void {
  const rules = ['add table netdev test', `add chain netdev test ${ifname} { type filter hook ingress device "${ifname}" priority 0; policy drop; }`];
  runIn(netns, 'nft', rules.join('; '));
}

/** The n-th node, with a switch that has the flows that stand before any tenant. All nodes know each other's MACs. */
export async function createSwitchNode(scope: TeardownScope, hub: Hub, n: number): Promise<SwitchNode> {
  const netns = createUnderlay(scope, hub, n);
  const vtep = vtepOf(hub, n);
  const openVSwitch = await startOpenVSwitch(scope, { netns });
  // For settle(): passes over the cache are 101 ms apart at most, the least that is taken, where 500 is the default.
  openVSwitch.vsctl('set', 'Open_vSwitch', '.', 'other_config:max-revalidator=101', '--', 'add-br', physical, '--', 'set', 'bridge', physical, 'datapath_type=netdev', 'fail_mode=standalone', `other_config:hwaddr="${vtepMac(n)}"`, '--', 'add-port', physical, 'u0');
  dropFrom(netns, 'u0');
  run('ip', ['-n', netns, '-batch', '-'], [`link set ${physical} addrgenmode none`, `link set ${physical} up`, `address add ${withLength(vtep)} dev ${physical} ${hub.family === 6 ? 'nodad' : ''}`].join('\n'));
  openVSwitch.addBridge(bridge);
  openVSwitch.vsctl('add-port', bridge, 'vxlan0', '--', 'set', 'interface', 'vxlan0', 'type=vxlan', `ofport_request=${tunnelPort}`, 'options:remote_ip=flow', 'options:key=flow', `options:local_ip="${formatAddress(vtep)}"`);
  const connection = await openConnection(openVSwitch.managementSocket(bridge));
  scope.teardown(() => connection.close());
  const node = new SwitchNode(scope, { netns, vtep, openVSwitch, connection });
  await node.add(baseFlows([vxlanUdpPort]));
  // Otherwise the first packet to a VTEP is lost while the switch asks for its MAC.
  for (const other of [1, 2, 3, 4].filter((other) => other !== n)) openVSwitch.appctl('ovs-vswitchd', 'tnl/neigh/set', physical, formatAddress(vtepOf(hub, other)), vtepMac(other));
  return node;
}

/** A node of Linux bridges. */
export class BridgeNode {
  readonly netns: string;
  readonly vtep: Address;
  readonly #scope: TeardownScope;
  #created = 0;

  constructor(scope: TeardownScope, hub: Hub, n: number) {
    this.#scope = scope;
    this.netns = createUnderlay(scope, hub, n);
    this.vtep = vtepOf(hub, n);
    run('ip', ['-n', this.netns, 'address', 'add', withLength(this.vtep), 'dev', 'u0', ...(hub.family === 6 ? ['nodad'] : [])]);
  }

  /** A bridge and a VXLAN device that learns, as weft makes them. */
  addTenant(vni: Vni, peers: readonly Address[]): void {
    const lines = [
      `link add br${vni} address ${gatewayMac(vni)} type bridge mcast_snooping 0`, `link set br${vni} addrgenmode none`, `link set br${vni} up`,
      // The switch verifies an outer checksum, which on a veth is never filled in.
      `link add vx${vni} type vxlan id ${vni} local ${formatAddress(this.vtep)} dstport ${vxlanUdpPort} noudpcsum udp6zerocsumtx udp6zerocsumrx`,
      `link set vx${vni} addrgenmode none`, `link set vx${vni} master br${vni} up`,
    ];
    run('ip', ['-n', this.netns, '-batch', '-'], lines.join('\n'));
    for (const peer of peers) run('bridge', ['-n', this.netns, 'fdb', 'append', '00:00:00:00:00:00', 'dev', `vx${vni}`, 'dst', formatAddress(peer)]);
  }

  attach(options: ContainerOptions): Container {
    this.#created += 1;
    const hostIf = `v${this.#created}`;
    const container = createContainer(this.#scope, this.netns, { ...allOptions(options), hostIf, ofport: this.#created });
    run('ip', ['-n', this.netns, 'link', 'set', hostIf, 'master', `br${options.vni}`]);
    return container;
  }
}

/** Whether echo requests are answered: the first within a second, for a lost one is a fault. */
export function canPing({ netns }: Container, address: string, { waitSeconds = 2 }: { readonly waitSeconds?: number } = {}): boolean {
  try {
    runIn(netns, 'ping', '-n', '-c', '1', '-W', String(waitSeconds), address);
    return true;
  } catch {
    return false;
  }
}

/** What comes to a container, and what it sends. */
export async function captureAt(scope: TeardownScope, { netns }: Container): Promise<Capture> {
  return startCapture(scope, netns, 'eth0');
}

/** The frames of a capture but for the listener reports that a kernel sends of its own accord (RFC 3810 §5.2), up to a second after it has an address. */
export function withoutListenerReports({ frames }: Capture): readonly Buffer[] {
  // Hop-by-hop options with a router alert, and an ICMPv6 message of type 143.
  const report = Buffer.from('3a000502000001008f00', 'hex');
  return frames.filter((frame) => !frame.includes(report));
}
