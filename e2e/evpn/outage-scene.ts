/** Where FRR goes away: three nodes, containers of two tenants that exchange packets, and what must be there all the while. */
import type { Test } from 'tap';
import { runIn } from '../../pkg/testing/command.ts';
import { readLinks, type ObservedFdbEntry } from '../../pkg/testing/observe.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { runWeft } from '../command-line/run-weft.ts';
import { blue, red, type Tenant } from '../harness/tenant.ts';
import { describeReport, totalsOf } from '../meter/describe.ts';
import { Meter } from '../meter/meter.ts';
import { attachEvpnGuest, createEvpnScene, eventually, fdbOf, floodListOf, neighboursOf, remotesOf, type EvpnGuest, type EvpnNode, type EvpnScene, type SceneOptions } from './scene.ts';

/** A container that stays from the beginning to the end. */
export interface Resident extends EvpnGuest {
  readonly tenant: Tenant;
  /** Of its node, from 1. */
  readonly number: number;
}

export interface OutageScene extends EvpnScene {
  readonly residents: readonly Resident[];
}

export const tenants: readonly Tenant[] = [blue, red];
const meterSeconds = 500;

/** A full mesh of nodes with a resident of each tenant on each, which all know of each other. All of it goes away with the scope. */
export async function createOutageScene(scope: TeardownScope, options: Partial<SceneOptions> = {}): Promise<OutageScene> {
  const scene = await createEvpnScene(scope, { nodes: 3, ...options });
  const residents: Resident[] = [];
  for (const tenant of tenants) {
    for (const index of scene.nodes.keys()) residents.push(await attachResident(scene, tenant, index + 1));
  }
  await scene.lab.settle();
  const whole = { ...scene, residents };
  await knownEverywhere(whole);
  await agreed(scene.nodes);
  return whole;
}

/** Attaches a container of the tenant. @throws Error with the plugin's words */
export async function attachResident({ lab }: EvpnScene, tenant: Tenant, number: number, label = `${tenant.name}${number}`): Promise<Resident> {
  return { ...(await attachEvpnGuest(lab, tenant, { node: number, label })), tenant, number };
}

/** Blue: everybody to everybody, by IPv4. Red: each to the next one only, so that no answer tells where anybody is, by IPv4 and by IPv6. */
export async function startTraffic(scope: TeardownScope, residents: readonly Resident[]): Promise<Meter> {
  const meter = Meter.start(scope, { seconds: meterSeconds });
  const open = async (tenant: Tenant, family: 'ipv4' | 'ipv6'): Promise<readonly string[]> => {
    const stations: string[] = [];
    for (const { tenant: own, number, netns, participant } of residents) {
      if (own !== tenant) continue;
      const station = `${tenant.name}${number}-${family}`;
      await meter.open(station, { netns, address: participant[family] });
      stations.push(station);
    }
    return stations;
  };
  await meter.mesh(await open(blue, 'ipv4'));
  for (const family of ['ipv4', 'ipv6'] as const) {
    const stations = await open(red, family);
    for (const [index, station] of stations.entries()) await meter.flow(station, stations[(index + 1) % stations.length] as string);
  }
  return meter;
}

/** Sends nothing more; nothing may have been lost, doubled or gone astray. */
export async function expectNoLoss(t: Test, meter: Meter): Promise<void> {
  const report = await meter.finish();
  const words = describeReport(report);
  t.comment(words);
  const { lost, duplicated, misdelivered } = totalsOf(report);
  t.same({ lost, duplicated, misdelivered }, { lost: 0, duplicated: 0, misdelivered: 0 }, `of all packets: ${words}`);
}

/** What of a node is not there of the residents elsewhere and of the other VTEPs, in words. */
export function missingOn({ nodes, residents }: OutageScene, one: EvpnNode): readonly string[] {
  return tenants.flatMap((tenant) => {
    const [tunnel, spare, bridge] = ['vx', 'sp', 'br'].map((kind) => `weft-${kind}${tenant.vni}`) as [string, string, string];
    const others = residents.filter(({ tenant: own, node }) => own === tenant && node !== one.node);
    const vteps = nodes.map(({ node }) => node).filter((node) => node !== one.node).map(({ ipv4 }) => ipv4);
    const endpoints = others.map(({ mac, node }) => `${mac} at ${node.ipv4}`);
    const addresses = others.flatMap(({ mac, participant }) => [participant.ipv4, participant.ipv6].map((address) => `${address} ${mac}`));
    const neighbours = (link: string): readonly string[] => neighboursOf(one, link).map(({ dst, lladdr = '' }) => `${dst} ${lladdr}`);
    const lacking = [
      [tunnel, without([...vteps, ...endpoints], [...floodListOf(one, tenant.vni), ...remotesOf(one, tenant.vni)])],
      [bridge, without(others.map(({ mac }) => mac), fdbOf(one, tunnel).filter(({ master }) => master !== undefined).map(({ mac }) => mac))],
      [bridge, without(addresses, neighbours(bridge))],
      [spare, without(endpoints, fdbOf(one, spare).map(({ mac, dst = '' }) => `${mac} at ${dst}`))],
      [spare, without(addresses, neighbours(spare))],
    ] as const;
    return lacking.flatMap(([link, missing]) => missing.map((what) => `${one.node.name} ${link} lacks ${what}`));
  });
}

function without(wanted: readonly string[], present: readonly string[]): readonly string[] {
  return wanted.filter((one) => !present.includes(one));
}

/** Waits until every node knows all residents and all VTEPs. @returns how long it took, milliseconds @throws Error with what is missing */
export async function knownEverywhere(scene: OutageScene): Promise<number> {
  const startedAt = performance.now();
  const missing = (): readonly string[] => scene.nodes.flatMap((one) => missingOn(scene, one));
  await eventually('every node knows everybody', () => missing().length === 0, () => [...missing(), ...scene.nodes.map(describeNode)].join('\n'));
  return performance.now() - startedAt;
}

/** Waits until `weft evpn` finds nothing wrong on the nodes. @throws Error with its words */
export async function agreed(nodes: readonly EvpnNode[]): Promise<void> {
  for (const one of nodes) {
    const { node } = one;
    let said = '';
    const isWell = async (): Promise<boolean> => {
      const { exitCode, stdout, stderr } = await runWeft(node, ['evpn']);
      said = stdout + stderr;
      return exitCode === 0;
    };
    await eventually(`BGP, ledger and kernel agree on ${node.name}`, isWell, () => `${said}\n${describeNode(one)}`);
  }
}

/** What FRR, the kernel and weft have to say, for a test that failed. */
function describeNode({ node, frr, daemon }: EvpnNode): string {
  const ask = (...commands: readonly string[]): string => {
    try {
      return frr.vtysh(...commands);
    } catch (error) {
      return String(error);
    }
  };
  return [ask('show evpn mac vni all', 'show evpn arp-cache vni all'), ask('show bgp l2vpn evpn route'), runIn(node.netns, 'bridge', 'fdb', 'show'), runIn(node.netns, 'ip', 'neigh', 'show', 'nud', 'all'), daemon.describe()].join('\n');
}

/** All that a node has of its tenants' links and tables: lines to compare before with after. */
export function tablesOf(one: EvpnNode): readonly string[] {
  const own = readLinks(one.node.netns).map(({ ifname }) => ifname).filter((name) => name.startsWith('weft-'));
  // What a tunnel has learned from frames goes by itself, and only what a control plane has put there leads to it.
  const isPut = ({ dst, state, flags = [] }: ObservedFdbEntry): boolean => dst === undefined || state === 'permanent' || flags.includes('extern_learn');
  const entries = own.flatMap((link) => fdbOf(one, link).filter(isPut).map(({ mac, dst = '', master = '' }) => `fdb ${link} ${mac} ${dst} ${master}`));
  const neighbours = own.filter((link) => /^weft-(br|sp)/.test(link)).flatMap((link) => neighboursOf(one, link).map(({ dst, lladdr = '' }) => `neighbour ${link} ${dst} ${lladdr}`));
  return [...own.map((link) => `link ${link}`), ...entries, ...neighbours].sort();
}
