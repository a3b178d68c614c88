/** Two nodes with a tenant that has gateways, and what `weft trace` says on them. */
import { run, runIn } from '../../pkg/testing/command.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { runWeft } from '../command-line/run-weft.ts';
import { ping } from '../harness/container.ts';
import type { DatapathName, LabNode } from '../harness/lab-node.ts';
import { createLabOf, type Attached, type Lab } from '../harness/lab.ts';
import type { NetConf } from '../harness/net-conf.ts';
import { tenantConf } from '../harness/tenant.ts';

/** A step as `weft trace -o json` has it. */
export interface ShownStep {
  readonly id: string;
  readonly outcome: string;
  readonly what: string;
  readonly show: string;
  readonly fix?: string;
}

/** What was answered. */
export interface Told {
  readonly exitCode: number;
  readonly stderr: string;
  readonly verdict: { readonly kind: string; readonly what: string; readonly vteps: readonly string[]; readonly next: string | null };
  readonly steps: readonly ShownStep[];
}

/** Asks on a node. @throws Error where what it prints is no JSON */
export async function askTrace(node: LabNode, ...args: readonly string[]): Promise<Told> {
  const { exitCode, stdout, stderr } = await runWeft(node, ['trace', '-o', 'json', ...args]);
  if (stdout === '') throw new Error(`weft trace ${args.join(' ')} printed nothing: ${stderr}`);
  return { exitCode, stderr, ...(JSON.parse(stdout) as Pick<Told, 'verdict' | 'steps'>) };
}

/** Every step in a line each, for comments and failures. */
export function linesOf({ steps, verdict }: Told): string {
  return [...steps.map(({ id, outcome, what }) => `${outcome} ${id}: ${what}`), `${verdict.kind}: ${verdict.what}`].join('\n');
}

/** A container with its name, MAC and addresses. */
export interface Endpoint extends Attached {
  readonly name: string;
  readonly hostIf: string;
  readonly mac: string;
  readonly ipv4: string;
  readonly ipv6: string;
}

/** near and far are where `sender` sends to: on its node, and on the other. */
export interface Scene {
  readonly lab: Lab;
  readonly sender: Endpoint;
  readonly near: Endpoint;
  readonly far: Endpoint;
}

/** What the underlay's router has: outside of the overlay. */
export const outside = { 4: '10.200.0.1', 6: 'fd00:200::1' } as const;
/** The tenant's gateway, on each node. */
export const gateway = { 4: '10.1.1.1', 6: 'fd00:1::1' } as const;

/** The tenant's network on a node, with a gateway. */
function confOn(lab: Lab, number: number): NetConf {
  const ranges = [[{ subnet: '10.1.1.0/24', rangeStart: `10.1.1.${number}0`, rangeEnd: `10.1.1.${number}9` }], [{ subnet: 'fd00:1::/64', rangeStart: `fd00:1::${number}0`, rangeEnd: `fd00:1::${number}9` }]];
  const conf = tenantConf(lab, { name: 'blue', vni: 1001 }, number);
  return { ...conf, isGateway: true, ipMasq: true, ipam: { type: 'weft', ranges, routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }] } };
}

/** Attaches one; its sender is limited, so that there is a shaper to break. */
async function attachOne(lab: Lab, number: number, name: string): Promise<Endpoint> {
  const limit = name === 'sender' && lab.node(number).datapath === 'bridge' ? { capabilities: { ips: true, mac: true, bandwidth: true }, runtimeConfig: { bandwidth: { egressRate: 100_000_000, egressBurst: 10_000_000 } } } : {};
  const attached = await lab.attach(lab.node(number), { label: name, conf: { ...confOn(lab, number), ...limit }, args: `IgnoreUnknown=1;WEFT_ENDPOINT=${name}` });
  const interfaces = attached.result.interfaces ?? [];
  const [ipv4 = '', ipv6 = ''] = (attached.result.ips ?? []).map(({ address }) => address.split('/')[0] ?? '');
  return {
    ...attached, name, ipv4, ipv6,
    hostIf: interfaces.find((one) => one.name.startsWith('weft-p'))?.name ?? '', mac: interfaces.find(({ sandbox }) => sandbox !== undefined && sandbox !== '')?.mac ?? '',
  };
}

/** The two nodes. It goes away with the scope. */
export async function createScene(scope: TeardownScope, datapath: DatapathName): Promise<Scene> {
  const lab = await createLabOf(scope, [datapath, datapath]);
  const [sender, near, far] = [await attachOne(lab, 1, 'sender'), await attachOne(lab, 1, 'near'), await attachOne(lab, 2, 'far')];
  await lab.settle();
  return { lab, sender, near, far };
}

/** Has the container forget whom it knows. */
export function forgetNeighbours({ netns }: Pick<Endpoint, 'netns'>): void {
  run('ip', ['-n', netns, 'neigh', 'flush', 'all']);
}

/** Whether a real packet gets an answer, and so has arrived. @param size of the whole IP packet, bytes */
export async function arrives({ netns }: Pick<Endpoint, 'netns'>, address: string, size = 84): Promise<boolean> {
  const headers = address.includes(':') ? 48 : 28;
  for (let attempt = 0; attempt < 2; attempt += 1) if ((await ping(netns, address, { size: size - headers, df: true })) > 0) return true;
  return false;
}

/** Whether a real packet gets no answer; one that does gets it within a millisecond. */
export function isLost({ netns }: Pick<Endpoint, 'netns'>, address: string, size = 84): boolean {
  return !/ [1-9]\d* received/.test(runIn(netns, 'sh', '-c', `ping -n -q -c 1 -W 0.4 -M do -s ${size - 28} ${address} 2>&1 || true`));
}

/** Runs the command that a step names, as somebody at the node would. */
export function tryShow(node: LabNode, { show }: Pick<ShownStep, 'show'>): string {
  return runIn(node.netns, 'sh', '-c', `{ ${show}; } 2>&1 || true`);
}

/** Follows a packet that left, on the node of its VTEP, by the command that was named. */
export async function follow(lab: Lab, { verdict }: Told): Promise<Told> {
  const node = lab.nodes.find(({ ipv4, ipv6 }) => verdict.vteps.some((vtep) => vtep === ipv4 || vtep === ipv6));
  if (node === undefined || verdict.next === null) throw new Error(`it did not leave for a node: ${verdict.what}`);
  return askTrace(node, ...verdict.next.split(' ').slice(2));
}
