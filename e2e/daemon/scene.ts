/** Where these tests play: one node with a daemon, one tenant's network of few addresses, and requests made by hand. */
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { runWeft } from '../command-line/run-weft.ts';
import { callPlugin, type CniOutcome, type Verb } from '../harness/cni-call.ts';
import { createDaemonLabOf, type Daemon, type DaemonOptions } from '../harness/daemon.ts';
import { namespaceVariables, requestKinds, type RawRequest } from '../harness/daemon-socket.ts';
import { attachEnv, type Attach, type DatapathName, type LabNode } from '../harness/lab-node.ts';
import type { Lab } from '../harness/lab.ts';
import { netConf, type NetConf } from '../harness/net-conf.ts';
import { weftExecutable } from '../harness/weft-executable.ts';

export interface Scene {
  readonly lab: Lab;
  readonly node: LabNode;
  readonly daemon: Daemon;
  /** The network of tenant blue: 10.1.1.10 to 10.1.1.99. */
  readonly conf: NetConf;
}

export const blueVni = 1001;

/** A scene that goes away with the scope. IPv4 only: nothing has to wait for duplicate address detection. */
export async function createScene(scope: TeardownScope, { datapath = 'bridge', ...options }: { readonly datapath?: DatapathName; readonly daemon?: DaemonOptions } = {}): Promise<Scene> {
  const { lab, daemons } = await createDaemonLabOf(scope, [datapath], options);
  const [daemon] = daemons;
  if (daemon === undefined) throw new Error('the lab has no daemon');
  return { lab, daemon, node: daemon.node, conf: blueConf(daemon.node) };
}

/** Blue's network on a node. */
export function blueConf(node: LabNode, extra: NetConf = {}): NetConf {
  return netConf({ name: 'blue', vni: blueVni, vtep: node.ipv4, peers: [], ranges: [[{ subnet: '10.1.1.0/24', rangeStart: '10.1.1.10', rangeEnd: '10.1.1.99' }]], extra });
}

/** A container that is not attached yet, for calls of a test's own. */
export function newcomer({ lab, conf }: Pick<Scene, 'lab' | 'conf'>, label: string, options: Partial<Attach> = {}): Attach & { readonly netns: string } {
  return { conf, containerId: label, netns: lab.container(label), ...options };
}

/** The request that a launcher on the node would send for the call. */
export function callRequest(node: LabNode, verb: Verb, attach: Attach, variables: Readonly<Record<string, string>> = {}): RawRequest {
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...attachEnv(verb, attach), ...namespaceVariables({ node: node.netns, container: attach.netns }), ...variables };
  return { kind: requestKinds.call, env, stdin: JSON.stringify(attach.conf) };
}

/** A call of weft itself on the node, past launcher and daemon. */
export async function callAlone(node: LabNode, verb: 'ADD' | 'DEL', attach: Attach): Promise<CniOutcome> {
  return callPlugin({ nodeNetns: node.netns, executable: weftExecutable, env: { ...node.env, ...attachEnv(verb, attach) }, stdin: JSON.stringify(attach.conf) });
}

/** A row of `weft endpoints -o json`. */
export interface EndpointRow {
  readonly containerId: string;
  readonly addresses: readonly string[];
  readonly state: string;
}

/** What the ledger has, as the command line shows it. */
export async function readEndpoints(node: LabNode): Promise<readonly EndpointRow[]> {
  const { exitCode, stdout, stderr } = await runWeft(node, ['endpoints', '-o', 'json']);
  if (exitCode !== 0) throw new Error(`weft endpoints failed: ${stderr}`);
  return JSON.parse(stdout) as readonly EndpointRow[];
}

/** What needs attention, by `weft status -o json`. */
export async function readAttention(node: LabNode): Promise<readonly string[]> {
  const { stdout } = await runWeft(node, ['status', '-o', 'json']);
  return (JSON.parse(stdout) as { readonly attention: readonly string[] }).attention;
}
