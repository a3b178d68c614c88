/** From the flows that a port has on the switch to those that it should have. Pure. */
import { flowContent, flowKey, type Flow, type FlowMod, type ListedFlow } from '../../openflow/flow.ts';
import { earlierFlows, flowsOf, openedFlows, type LocalPort, type TenantNetwork } from './flows/flows.ts';
import { isWaiting } from '../phases.ts';

/** What is changed, the least there is: what stays keeps its counts. That the machine has opened the port is left as it is. */
export function planPortFlows(local: LocalPort, { wanted, present }: { readonly wanted: readonly Flow[]; readonly present: readonly ListedFlow[] }): FlowMod[] {
  const kept = new Set([...wanted, ...(isWaiting(local.port) ? openedFlows(local) : [])].map(flowKey));
  const contents = new Map(present.map((flow) => [flowKey(flow), flowContent(flow)]));
  return [
    ...present.filter((flow) => !kept.has(flowKey(flow))).map((flow): FlowMod => ({ kind: 'deleteStrict', flow })),
    ...wanted.filter((flow) => contents.get(flowKey(flow)) !== flowContent(flow)).map((flow): FlowMod => ({ kind: 'add', flow })),
  ];
}

/**
 * The same for whoever has no time to read first: all that is wanted, and away with what comes before it in a migration. So few messages that
 * ovs-vswitchd takes them in one go, which is 50 (connmgr.c, ofconn_run).
 */
export function planPortFlowsUnseen(network: TenantNetwork, local: LocalPort, wanted: readonly Flow[]): FlowMod[] {
  const cookie = flowsOf({ kind: 'port', vni: local.port.vni, ofport: local.ofport });
  const [kept, keptTables] = [new Set(wanted.map(flowKey)), new Set(wanted.map(({ table }) => table))];
  const surplus = earlierFlows(network, local).filter((flow) => !kept.has(flowKey(flow)));
  const emptied = new Set(surplus.map(({ table }) => table).filter((table) => !keptTables.has(table)));
  return [
    ...wanted.map((flow): FlowMod => ({ kind: 'add', flow })),
    ...[...emptied].map((table): FlowMod => ({ kind: 'delete', filter: { ...cookie, table } })),
    ...surplus.filter(({ table }) => !emptied.has(table)).map(({ table, priority, match }): FlowMod => ({ kind: 'deleteStrict', flow: { table, priority, match, cookie: cookie.cookie } })),
  ];
}
