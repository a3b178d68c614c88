/** The switch as it is: what a check and a repair compare with what should be there. */
import { describeError } from '../../errors/weft-error.ts';
import { flowContent, flowKey, type Flow, type FlowName } from '../../openflow/flow.ts';
import type { Instructions } from '../../openflow/instruction.ts';
import { flowsOfWeft } from './flows/flows.ts';
import type { SwitchPort } from './switch/rows.ts';
import type { OvsSwitch } from './switch/switch.ts';

/** What there is. */
export interface SwitchSnapshot {
  /** How the bridge is set otherwise than weft needs it, in words: then its flows are lost, or will be. */
  readonly bridgeFault: string | undefined;
  /** Whether ovs-vswitchd itself forwards. */
  readonly isUserspace: boolean;
  readonly ports: ReadonlyMap<string, SwitchPort>;
  /** By flowKey(). */
  readonly flows: ReadonlyMap<string, ListedFlow>;
}

interface ListedFlow {
  readonly name: FlowName;
  readonly cookie: bigint;
  readonly content: string;
  readonly instructions: Instructions;
}

/** Reads all that is weft's; why it cannot be read, in words. */
export async function takeSnapshot(ovs: OvsSwitch): Promise<SwitchSnapshot | string> {
  try {
    // Whoever only looks makes no bridge.
    const obstacle = await ovs.findObstacle();
    if (obstacle !== undefined) return obstacle;
    const before = ovs.ports();
    const flows = before.size === 0 ? [] : await ovs.listFlows(flowsOfWeft);
    // Ports come and go meanwhile: the flows are of those of before, of those of now, or of both.
    const ports = new Map([...before, ...ovs.ports()]);
    return { bridgeFault: ovs.describeBridge(), isUserspace: ovs.isUserspace, ports, flows: new Map(flows.map((flow) => [flowKey(flow), { name: flow, cookie: flow.cookie, content: flowContent(flow), instructions: flow.instructions }])) };
  } catch (error) {
    return describeError(error);
  }
}

/** Which of the wanted flows are not there as they should be. */
export function missingFlows({ flows }: SwitchSnapshot, wanted: readonly Flow[]): readonly Flow[] {
  return wanted.filter((flow) => flows.get(flowKey(flow))?.content !== flowContent(flow));
}

/** Flows with this cookie that are none of the wanted: somebody has sent them under weft's name. */
export function surplusFlows({ flows }: SwitchSnapshot, { wanted, cookie }: { readonly wanted: readonly FlowName[]; readonly cookie: bigint }): readonly FlowName[] {
  const keys = new Set(wanted.map(flowKey));
  return [...flows].filter(([key, flow]) => flow.cookie === cookie && !keys.has(key)).map(([, { name }]) => name);
}
