/** Containers of real runtimes as participants of a reach measurement. */
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { addressesUsable, readInterface } from '../harness/container.ts';
import type { Participant } from '../harness/reach.ts';
import type { PrivateNode } from './private-node.ts';

export interface Member {
  /** At most eight bytes. */
  readonly name: string;
  readonly tenant: string;
  /** Of a process in it, as the node's processes count. */
  readonly pid: number;
  /** Of its subnet. @default 10.1.1.255, blue's of conf/ */
  readonly broadcast?: string;
}

/** Waits until the container may use its addresses; what holds its namespace goes with the scope. */
export async function asParticipant(scope: TeardownScope, host: PrivateNode, { name, tenant, pid, broadcast = '10.1.1.255' }: Member): Promise<Participant> {
  const netns = host.nameNetns(scope, pid, name);
  await addressesUsable(netns);
  const { ipv4, ipv6 } = readInterface(netns);
  return { name, tenant, netns, ipv4: withoutLength(ipv4[0]), ipv6: withoutLength(ipv6[0]), broadcast };
}

function withoutLength(address: string | undefined): string {
  return address?.split('/')[0] ?? '';
}
