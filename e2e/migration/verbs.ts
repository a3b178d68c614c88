/** What these tests know of weft's own words for migrations: this file, and no other. */
import { join } from 'node:path';
import { runWeft } from '../command-line/run-weft.ts';
import { encodeRawRequest, exchangeRaw, frameKinds, headerBytes, requestKinds, type RawRequest } from '../harness/daemon-socket.ts';
import type { LabNode } from '../harness/lab-node.ts';
import type { Trigger } from './mover.ts';

/** An endpoint that moves. */
export interface Endpoint {
  readonly tenant: string;
  readonly endpoint: string;
}

/** Lines of weft.yaml that let the nodes' daemons talk about migrations. */
export function nodeConfiguration(): readonly string[] {
  return ['migration:', '  key: "only the nodes of this test know it"'];
}

/** CNI_ARGS of whatever container the endpoint is in: of its first one, and of the one where it waits. */
export function endpointArgs({ endpoint }: Endpoint): string {
  return `WEFT_ENDPOINT=${endpoint}`;
}

/** What a hypervisor's hook sends to the source's daemon when the machine has stopped. */
export function activation(source: LabNode, endpoint: Endpoint): Trigger {
  return { path: socketPath(source), request: encodeRawRequest(command('activate', endpoint)) };
}

/** What is wrong with the answer to it, whose bytes are given in hexadecimal; undefined: nothing. */
export function refusalOf(answer: string): string | undefined {
  const bytes = Buffer.from(answer, 'hex');
  for (let at = 0; at + headerBytes <= bytes.length; at += headerBytes + bytes.readUInt32LE(at + 12)) {
    const [kind, status] = [bytes.readUInt16LE(at + 6), bytes.readUInt32LE(at + 8)];
    if (kind === frameKinds.answered) return status === 0 ? undefined : bytes.toString('utf8', at + headerBytes);
  }
  return `no answer: ${bytes.toString('latin1')}`;
}

/** How far the node is with the endpoint's migration, in weft's words; undefined: it has nothing to do for one, and waits at most for the source's DEL. */
export async function phaseOf(node: LabNode, { endpoint }: Endpoint): Promise<string | undefined> {
  const { stdout } = await runWeft(node, ['migrate', 'status', '-o', 'json']);
  const rows = JSON.parse(stdout) as readonly { readonly endpoint: string; readonly phase: string }[];
  return rows.find((row) => row.endpoint === endpoint && row.phase !== 'left')?.phase;
}

/** Takes a migration back that has not been activated yet. @throws Error with the daemon's words where it cannot */
export async function cancel(node: LabNode, endpoint: Endpoint): Promise<void> {
  const last = (await exchangeRaw(socketPath(node), command('cancel', endpoint))).at(-1);
  if (last?.kind !== frameKinds.answered || last.status !== 0) throw new Error(`cancel was refused: ${JSON.stringify(last)}`);
}

function command(verb: string, { tenant, endpoint }: Endpoint): RawRequest {
  return { kind: requestKinds.command, stdin: JSON.stringify({ verb, tenant, endpoint }) };
}

function socketPath(node: LabNode): string {
  return join(node.runDirectory, 'weft.sock');
}
