/** Whether a node holds exactly what it should: what runtimes were told, the ledger, the switch's rows and flows, the links, and the guard agree. */
import type { Test } from 'tap';
import { readLinks, readRuleset } from '../../pkg/testing/observe.ts';
import { runWeft } from '../command-line/run-weft.ts';
import { pendingDels, type Known } from '../daemon-kill/audit.ts';
import type { CniResult } from '../harness/cni-call.ts';
import { integrationBridge } from './ovs-node.ts';
import type { Station } from './scene.ts';

/** The letters "wef" and the VNI: the first half of a cookie of a tenant's flows. */
const cookiePattern = /cookie=0x776566([0-9a-f]{6})([0-9a-f]{4})/;
/** Kinds of flows that belong to no port of this node: the tenant's own, learned ones, and endpoints' elsewhere. */
const kindsOfTenant = new Set(['0000', 'fffe', 'ffff']);

interface EndpointRow {
  readonly containerId: string;
  readonly addresses: readonly string[];
  readonly state: string;
}

interface StatusView {
  readonly counts: { readonly tenants: number; readonly endpoints: number; readonly interrupted: number; readonly pendingDels: number };
}

/** What a node should hold. */
export interface Expected {
  readonly when: string;
  readonly known: readonly Known[];
  /** VNIs with a gateway on the node. */
  readonly gateways: readonly number[];
  /** Whether ovs-vswitchd was started again and no daemon has noticed. @default false */
  readonly areFlowsLost?: boolean;
}

/** Compares the node with its runtimes' knowledge. Nothing may be under way. */
export async function expectExactly(t: Test, { node, ovs }: Station, { when, known, gateways, areFlowsLost = false }: Expected): Promise<void> {
  const rows = await readJson<readonly EndpointRow[]>({ node, command: 'endpoints' });
  const vnis = [...new Set(known.map(({ vni }) => vni))];
  const ports = known.map(({ result }) => hostPort(result));
  const own = [...ports, ...vnis.filter((vni) => gateways.includes(vni)).map((vni) => `weft-br${vni}`)];
  t.same(rows.map(({ containerId, state, addresses }) => `${containerId} ${state} ${[...addresses].sort().join(' ')}`).sort(), known.map(describeKnown).sort(), `${when}: the ledger has the containers that the runtimes have, with their addresses`);
  t.same((await readJson<StatusView>({ node, command: 'status' })).counts, { tenants: vnis.length, endpoints: known.length, interrupted: 0, pendingDels: 0 }, `${when}: nothing else`);
  t.same(pendingDels(node), [], `${when}: no DEL waits`);
  t.same(switchPorts({ ovs }), [...own, ...(vnis.length === 0 ? [] : ['the tunnel'])].sort(), `${when}: the switch has their ports, each once, and no others`);
  t.same(rowsOfNobody({ ovs }), [], `${when}: no QoS and Queue rows are left`);
  if (!areFlowsLost) t.same(ownersOfFlows({ ovs }), [...vnis.map((vni) => `tenant ${vni}`), ...known.map(({ vni, result }) => `${hostPort(result)} of ${vni}`)].sort(), `${when}: the switch has flows of theirs, and no others`);
  t.same(readLinks(node.netns).map(({ ifname }) => ifname).filter((name) => name.startsWith('weft-') && name !== integrationBridge).sort(), own.sort(), `${when}: the kernel has their links, and no others`);
  t.same([...new Set(readRuleset(node.netns).match(/weft-p[0-9a-z]{9}/g) ?? [])], [], `${when}: the guard knows ports by their prefix only`);
}

async function readJson<T>({ node, command }: Pick<Station, 'node'> & { readonly command: string }): Promise<T> {
  const { stdout, stderr } = await runWeft(node, [command, '-o', 'json']);
  if (stdout === '') throw new Error(`weft ${command} failed: ${stderr}`);
  return JSON.parse(stdout) as T;
}

function describeKnown({ containerId, result }: Known): string {
  return `${containerId} attached ${(result.ips ?? []).map(({ address }) => address).sort().join(' ')}`;
}

/** The host's end of the veth. */
export function hostPort({ interfaces = [] }: CniResult): string {
  return interfaces.find(({ name }) => name.startsWith('weft-p'))?.name ?? 'a result without a host interface';
}

/** Names of the integration bridge's ports; of the tunnel, whose name is a digest, that it is one. */
function switchPorts({ ovs }: Pick<Station, 'ovs'>): readonly string[] {
  const bridges = ovs.vsctl('list-br').split('\n');
  if (!bridges.includes(integrationBridge)) return [];
  return ovs.vsctl('list-ports', integrationBridge).split('\n').filter((name) => name !== '').map((name) => (name.startsWith('weft-t') ? 'the tunnel' : name)).sort();
}

function rowsOfNobody({ ovs }: Pick<Station, 'ovs'>): readonly string[] {
  return ['QoS', 'Queue'].flatMap((table) => ovs.vsctl('--bare', '--columns=_uuid', 'list', table).split('\n').filter((line) => line !== ''));
}

/** Whose flows there are, by their cookies. */
function ownersOfFlows({ ovs }: Pick<Station, 'ovs'>): readonly string[] {
  if (switchPorts({ ovs }).length === 0) return [];
  const names = portNames({ ovs });
  const owners = rawFlows(ovs).flatMap((line) => {
    const [, vni = '0', low = ''] = cookiePattern.exec(line) ?? [];
    if (Number(`0x${vni}`) === 0) return [];
    return [kindsOfTenant.has(low) ? `tenant ${Number(`0x${vni}`)}` : `${names.get(Number(`0x${low}`)) ?? `the port ${low}, which is not there,`} of ${Number(`0x${vni}`)}`];
  });
  return [...new Set(owners)].sort();
}

function portNames({ ovs }: Pick<Station, 'ovs'>): ReadonlyMap<number, string> {
  const text = ovs.ofctl('dump-ports-desc', integrationBridge);
  return new Map([...text.matchAll(/^ (\d+)\(([^)]+)\):/gm)].map(([, number, name]) => [Number(number), name ?? '']));
}

/**
 * All flows of the integration bridge but the learned ones, without counters, in an order of their own. Ports have their names in the place of
 * their numbers: a restart of ovs-vswitchd may give them others.
 */
export function flowLines(ovs: Station['ovs']): readonly string[] {
  const names = portNames({ ovs });
  const nameOf = (number: number): string => names.get(number) ?? String(number);
  return rawFlows(ovs).map((line) => line
    .replace(/^(cookie=0x776566[0-9a-f]{6})([0-9a-f]{4})/, (_match, head: string, low: string) => `${head} ${low === '0000' ? low : nameOf(Number(`0x${low}`))}`)
    .replace(/\bin_port=(\d+)/g, (_match, number: string) => `in_port=${nameOf(Number(number))}`)
    .replace(/(?:output:\d+,?)+/g, (list) => list.split(',').map((one) => one.replace(/\d+/, (number) => nameOf(Number(number)))).sort().join(','))).sort();
}

function rawFlows(ovs: Station['ovs']): readonly string[] {
  return ovs.ofctl('dump-flows', integrationBridge, '--no-stats').split('\n').map((line) => line.trim()).filter((line) => line.startsWith('cookie=') && !/^cookie=0x776566[0-9a-f]{6}fffe/.test(line));
}
