/** Endpoints elsewhere as the flows on the switch have them: what remoteFlows() sent is read back, by a process that never knew it. Pure. */
import type { Address, Mac } from '../../../netaddr/netaddr.ts';
import type { Action } from '../../../openflow/action.ts';
import type { FieldName, FieldValue } from '../../../openflow/field.ts';
import type { Flow } from '../../../openflow/flow.ts';
import { isMasked } from '../../../openflow/match.ts';
import type { RemoteEndpoint } from '../../../overlay/model.ts';
import { priorities, tables } from './tables.ts';

/** What of a flow says whom it is for. */
export type RemoteFlow = Pick<Flow, 'table' | 'priority' | 'match' | 'instructions'>;

/**
 * The endpoints, of flows of one tenant's that belong to none of this node; a MAC counts where a flow says which VTEP it is at. The link-local
 * address made from the MAC, which is asked for too where others are, is among the addresses.
 */
export function remotesIn(flows: readonly RemoteFlow[]): RemoteEndpoint[] {
  return [...flowsByMac(flows)].flatMap(([mac, own]) => {
    const vtep = own.map(vtepOf).find((found) => found !== undefined);
    return vtep === undefined ? [] : [{ mac, vtep, addresses: own.map(addressOf).filter((address) => address !== undefined) }];
  });
}

/** The flows by the MAC they are for; those of which nothing can be made are left out. */
export function flowsByMac<T extends RemoteFlow>(flows: readonly T[]): Map<Mac, T[]> {
  const found = new Map<Mac, T[]>();
  for (const flow of flows) {
    const mac = macOf(flow);
    if (mac === undefined) continue;
    const own = found.get(mac);
    if (own === undefined) found.set(mac, [flow]);
    else own.push(flow);
  }
  return found;
}

function isPlace({ table, priority }: RemoteFlow): boolean {
  return table === tables.remote && priority === priorities.remote.programmed;
}

function isAnswer({ table, priority }: RemoteFlow): boolean {
  return table === tables.neighbours && priority === priorities.neighbours.remote;
}

/** Of an answer to ARP it is the sender's, of a solicitation the one it is sent on to. */
function macOf(flow: RemoteFlow): Mac | undefined {
  if (isPlace(flow)) return matched(flow, 'ethDst');
  return isAnswer(flow) ? (written(flow, 'arpSha') ?? written(flow, 'ethDst')) : undefined;
}

function vtepOf(flow: RemoteFlow): Address | undefined {
  return isPlace(flow) ? (written(flow, 'tunnelIpv4Dst') ?? written(flow, 'tunnelIpv6Dst')) : undefined;
}

function addressOf(flow: RemoteFlow): Address | undefined {
  return isAnswer(flow) ? (matched(flow, 'arpTpa') ?? matched(flow, 'ndTarget')) : undefined;
}

function matched<F extends FieldName>({ match }: RemoteFlow, field: F): FieldValue<F> | undefined {
  const value = match[field] as FieldValue | undefined;
  return value === undefined || isMasked(value) ? undefined : (value as FieldValue<F>);
}

/** What the flow's actions set a field to. */
function written<F extends FieldName>({ instructions: { apply = [] } }: RemoteFlow, field: F): FieldValue<F> | undefined {
  const found = apply.find((action): action is Action & { readonly kind: 'setField' } => action.kind === 'setField' && action.field === field);
  return found?.value as FieldValue<F> | undefined;
}
