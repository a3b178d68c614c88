/** Whether a node holds exactly what it should: what runtimes were told, the ledger, the kernel, and the switch where there is one, agree. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Test } from 'tap';
import { readLinks, readRuleset } from '../../pkg/testing/observe.ts';
import { runWeft } from '../command-line/run-weft.ts';
import type { CniResult } from '../harness/cni-call.ts';
import { readInterface } from '../harness/container.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { integrationBridge, readSwitch } from '../harness/node-switch.ts';
import { isProbeTunnel } from '../harness/probe-tunnels.ts';
import { ownersOfFlows } from '../harness/switch-flows.ts';

/** A container that is attached, as its runtime knows it. */
export interface Known {
  readonly containerId: string;
  readonly vni: number;
  readonly netns: string;
  readonly result: CniResult;
}

interface EndpointRow {
  readonly containerId: string;
  readonly addresses: readonly string[];
  readonly state: string;
}

interface StatusCounts {
  readonly counts: { readonly tenants: number; readonly endpoints: number; readonly interrupted: number; readonly pendingDels: number };
}

/** What a node should hold. */
export interface Expected {
  readonly when: string;
  readonly known: readonly Known[];
  /** VNIs with a gateway on the node, which is a port of its own on a switch. @default none */
  readonly gateways?: readonly number[];
  /** Whether ovs-vswitchd was started again and no daemon has noticed. @default false */
  readonly areFlowsLost?: boolean;
}

/** Compares the node with its runtimes' knowledge. The load must be held, and the daemon have looked at the node. */
export async function expectExactly(t: Test, node: LabNode, expected: Expected): Promise<void> {
  const { when, known } = expected;
  const rows = await readJson<readonly EndpointRow[]>(node, 'endpoints');
  t.same(rows.map(describeRow).sort(), known.map(describeKnown).sort(), `${when}: the ledger has the containers that the runtimes have, with their addresses`);
  t.same((await readJson<StatusCounts>(node, 'status')).counts, { tenants: vnisOf(known).length, endpoints: known.length, interrupted: 0, pendingDels: 0 }, `${when}: nothing else`);
  t.same(pendingDels(node), [], `${when}: no DEL waits`);
  (node.datapath === 'bridge' ? expectLinks : expectSwitch)(t, node, expected);
  t.same(known.map(describeKernel), known.map(describeResult), `${when}: every container has the addresses that its runtime was told`);
  t.same(findDoubles(known), [], `${when}: no address twice in a tenant`);
}

function expectLinks(t: Test, node: LabNode, { when, known }: Expected): void {
  const ports = known.map(({ result }) => hostPort(result));
  const links = ['lo', 'eth0', ...vnisOf(known).flatMap((vni) => [`weft-br${vni}`, `weft-vx${vni}`]), ...ports];
  t.same(readLinks(node.netns).map(({ ifname }) => ifname).filter((name) => !isProbeTunnel(name)).sort(), links.sort(), `${when}: the kernel has their links, and no others`);
  t.same(guardedPorts(node), ports.sort(), `${when}: the guard knows their ports, and no others`);
}

function expectSwitch(t: Test, node: LabNode, { when, known, gateways = [], areFlowsLost = false }: Expected): void {
  const vnis = vnisOf(known);
  const own = [...known.map(({ result }) => hostPort(result)), ...vnis.filter((vni) => gateways.includes(vni)).map((vni) => `weft-br${vni}`)].sort();
  t.same(switchPorts(node), [...own, ...(vnis.length === 0 ? [] : ['the tunnel'])].sort(), `${when}: the switch has their ports, each once, and no others`);
  t.same(rowsOfNobody(node), [], `${when}: no QoS and Queue rows are left`);
  const owners = [...vnis.map((vni) => `tenant ${vni}`), ...known.map(({ vni, result }) => `${hostPort(result)} of ${vni}`)].sort();
  if (!areFlowsLost) t.same(known.length === 0 ? [] : ownersOfFlows(node.openVSwitch), owners, `${when}: the switch has flows of theirs, and no others`);
  t.same(readLinks(node.netns).map(({ ifname }) => ifname).filter((name) => name.startsWith('weft-') && name !== integrationBridge).sort(), own, `${when}: the kernel has their links, and no others`);
  t.same(guardedPorts(node), [], `${when}: the guard knows ports by their prefix only`);
}

function vnisOf(known: readonly Known[]): readonly number[] {
  return [...new Set(known.map(({ vni }) => vni))];
}

/** Names of the integration bridge's ports; of the tunnel, whose name is a digest, that it is one. */
function switchPorts({ openVSwitch }: LabNode): readonly string[] {
  return readSwitch(openVSwitch).ports.map((name) => (name.startsWith('weft-t') ? 'the tunnel' : name)).sort();
}

function rowsOfNobody({ openVSwitch }: LabNode): readonly string[] {
  return ['QoS', 'Queue'].flatMap((table) => openVSwitch.vsctl('--bare', '--columns=_uuid', 'list', table).split('\n').filter((line) => line !== ''));
}

/** Processes that run with the node's directories: daemons, launchers, plugins, and what they have executed. */
export function processesOf({ stateDirectory }: LabNode): readonly string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && readProc(name, 'environ').includes(`WEFT_STATE_DIR=${stateDirectory}\0`))
    .map((pid) => `${pid} ${readProc(pid, 'cmdline').replaceAll('\0', ' ')}`);
}

/** DELs that were written down and wait. */
export function pendingDels({ stateDirectory, runDirectory }: LabNode): readonly string[] {
  return [stateDirectory, runDirectory].flatMap((directory) => {
    try {
      return readdirSync(`${directory}/pending-dels`);
    } catch {
      // Nobody has written one down.
      return [];
    }
  });
}

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    // It has ended meanwhile.
    return '';
  }
}

async function readJson<T>(node: LabNode, command: string): Promise<T> {
  const { stdout, stderr } = await runWeft(node, [command, '-o', 'json']);
  if (stdout === '') throw new Error(`weft ${command} failed: ${stderr}`);
  return JSON.parse(stdout) as T;
}

function describeRow({ containerId, addresses, state }: EndpointRow): string {
  return `${containerId} ${state} ${[...addresses].sort().join(' ')}`;
}

function describeKnown({ containerId, result }: Known): string {
  return `${containerId} attached ${addressesOf(result).join(' ')}`;
}

function addressesOf({ ips = [] }: CniResult): readonly string[] {
  return ips.map(({ address }) => address).sort();
}

function describeResult({ containerId, result }: Known): string {
  return `${containerId} ${result.interfaces?.find(({ sandbox }) => sandbox !== undefined)?.mac} ${addressesOf(result).join(' ')}`;
}

function describeKernel({ containerId, netns }: Known): string {
  try {
    const { mac, ipv4, ipv6 } = readInterface(netns);
    return `${containerId} ${mac} ${[...ipv4, ...ipv6].sort().join(' ')}`;
  } catch (error) {
    return `${containerId} ${String(error)}`;
  }
}

/** The host's end of the veth. */
export function hostPort({ interfaces = [] }: CniResult): string {
  return interfaces.find(({ name }) => name.startsWith('weft-p'))?.name ?? 'a result without a host interface';
}

/** The ports that have elements in the guard's sets; its rules name them by their prefix only. */
function guardedPorts({ netns }: LabNode): readonly string[] {
  return [...new Set(readRuleset(netns).match(/weft-p[0-9a-z]{9}/g) ?? [])].sort();
}

function findDoubles(known: readonly Known[]): readonly string[] {
  const all = known.flatMap(({ vni, result }) => addressesOf(result).map((address) => `${vni} ${address}`));
  return all.filter((address, index) => all.indexOf(address) !== index);
}
