/**
 * A node with an Open vSwitch of its own. The userspace datapath sends through bridges of its own only, and so the underlay's link is a
 * port of one, br-phy, which has the node's addresses and routes:
 *
 *      ┌─ node ─────────────────────────────────────────┐
 *      │  containers ── weft-int ══ tunnel              │
 *      │                               ┊ outer packets  │
 *      │                             br-phy 10.200.0.1n │
 *      │                               │                │
 *      │                             eth0, no address   │
 *      └───────────────────────────────┬────────────────┘
 *                                   underlay
 */
import { run, runIn } from '../../pkg/testing/command.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { findLink, readLinks } from '../../pkg/testing/observe.ts';
import { startOpenVSwitch, type OpenVSwitch } from '../../pkg/testing/openvswitch.ts';

/** The bridge that carries the node's addresses on the underlay. */
export const underlayBridge = 'br-phy';

/** Starts an Open vSwitch in a node's namespace, and puts eth0, which has no address, on its bridge. It ends with the scope. */
export async function startNodeSwitch(scope: TeardownScope, netns: string): Promise<OpenVSwitch> {
  const ovs = await startOpenVSwitch(scope, { netns });
  run('ip', ['-n', netns, 'link', 'set', 'eth0', 'addrgenmode', 'none']);
  ovs.vsctl('--', 'add-br', underlayBridge, '--', 'set', 'bridge', underlayBridge, 'datapath_type=netdev', 'fail_mode=standalone', '--', 'add-port', underlayBridge, 'eth0');
  // By itself it would keep 1500 bytes over a link that takes more.
  ovs.vsctl('set', 'interface', underlayBridge, `mtu_request=${findLink(netns, 'eth0')?.mtu ?? 1500}`);
  openUnderlayBridge(netns);
  // The kernel still receives what the switch copies from the link, and would answer a second time: an ingress hook stands behind the taps.
  runIn(netns, 'nft', 'add table netdev underlay; add chain netdev underlay eth0 { type filter hook ingress device "eth0" priority 0; policy drop; }');
  return ovs;
}

function openUnderlayBridge(netns: string): void {
  run('ip', ['-n', netns, 'link', 'set', underlayBridge, 'addrgenmode', 'none', 'up']);
}

/** Kills a node's switch and starts it with what its database has, as a machine does that starts: its bridges are made anew, without addresses. */
export async function rebootNodeSwitch(ovs: OpenVSwitch): Promise<void> {
  await ovs.kill('ovs-vswitchd');
  await ovs.kill('ovsdb-server');
  // They outlive the process, and not the machine.
  for (const { ifname, linkinfo } of readLinks(ovs.netns)) if (linkinfo?.info_kind === 'tun') run('ip', ['-n', ovs.netns, 'link', 'del', ifname]);
  await ovs.start('ovsdb-server');
  await ovs.start('ovs-vswitchd');
  openUnderlayBridge(ovs.netns);
}

/** Weft's part of the node's configuration that has tenants wired by the switch; keys of `ovs` may be put in the place of the usual ones. */
export function switchConf({ databaseSocket }: OpenVSwitch, settings: Readonly<Record<string, string>> = {}): string {
  return `datapath: ovs\novs: ${JSON.stringify({ database: databaseSocket, datapathType: 'netdev', ...settings })}\n`;
}

/** All that weft may have on a switch: its ports and flows, empty without a bridge of its own. */
export interface SwitchView {
  readonly bridges: readonly string[];
  /** Of weft's bridge. */
  readonly ports: readonly string[];
  readonly flows: readonly string[];
}

/** Weft's bridge where the configuration names none. */
export const integrationBridge = 'weft-int';

/** What the system's own tools say of the switch. */
export function readSwitch(ovs: OpenVSwitch): SwitchView {
  const bridges = linesOf(ovs.vsctl('list-br'));
  if (!bridges.includes(integrationBridge)) return { bridges, ports: [], flows: [] };
  const flows = linesOf(ovs.ofctl('--no-stats', 'dump-flows', integrationBridge)).filter((line) => line.includes('actions='));
  return { bridges, ports: linesOf(ovs.vsctl('list-ports', integrationBridge)), flows };
}

/** Flows of a tenant: all of them match its VNI, or write it. */
export function flowsOfVni({ flows }: SwitchView, vni: number): readonly string[] {
  const named = new RegExp(`(metadata=|write_metadata:|tun_id=)0x${vni.toString(16)}\\b`);
  return flows.filter((flow) => named.test(flow));
}

/** A tenant's tunnel. */
export interface TunnelView {
  readonly type: string;
  readonly local: string;
  readonly port: number;
  /** VTEPs that frames of the tenant are taken from. */
  readonly peers: readonly string[];
}

/** The tunnel that a tenant's frames come by; undefined where none may. */
export function readTunnel(ovs: OpenVSwitch, vni: number): TunnelView | undefined {
  const view = readSwitch(ovs);
  const arrivals = flowsOfVni(view, vni).flatMap((flow) => /tun_(?:ipv6_)?src=([^,]+),in_port="?([^",]+)/.exec(flow) ?? []);
  const ofport = arrivals[2];
  const column = (name: string, key: string): string => ovs.vsctl('get', 'Interface', name, key).trim().replaceAll('"', '');
  const name = view.ports.find((port) => port === ofport || column(port, 'ofport') === ofport);
  if (name === undefined) return undefined;
  const peers = arrivals.filter((_, index) => index % 3 === 1).sort();
  return { type: column(name, 'type'), local: column(name, 'options:local_ip'), port: Number(column(name, 'options:dst_port')), peers };
}

/** The VTEP, of IPv4, at which a tenant's MAC is by what the switch has learned; undefined where it has learned nothing. */
export function findLearned(ovs: OpenVSwitch, { vni, mac }: { readonly vni: number; readonly mac: string }): string | undefined {
  const learned = flowsOfVni(readSwitch(ovs), vni).find((flow) => flow.includes(`dl_dst=${mac} `) && flow.includes('NXM_NX_TUN_IPV4_DST'));
  const value = /load:0x([0-9a-f]+)->NXM_NX_TUN_IPV4_DST/.exec(learned ?? '')?.[1];
  return value === undefined ? undefined : [...Buffer.from(value.padStart(8, '0'), 'hex')].join('.');
}

function linesOf(text: string): readonly string[] {
  return text.split('\n').map((line) => line.trim()).filter((line) => line !== '').sort();
}
