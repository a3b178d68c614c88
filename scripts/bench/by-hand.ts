/** The same port made with the system's tools, by a shell script (by-hand.sh) that is executed like a plugin. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { OpenVSwitch } from '../../pkg/testing/openvswitch.ts';
import type { Contender } from './contender.ts';
import { countFlows } from './ovs-lab.ts';
import { flowsOfOnlyPort, replayed } from './flow-texts.ts';

/** A bridge of its own, so that nothing of weft's is touched. */
const bridge = 'hand0';
const ofport = 777;
const cookie = '0x68616e64';

export interface ByHandOptions {
  /** The text of the tenant's flows while it has one port: those are what the script sends. */
  readonly dump: string;
  /** What ADD answered for that port. */
  readonly result: string;
  readonly directory: string;
}

/** Makes the bridge and writes the flows down, once. @throws Error when a command fails, RangeError as flowsOfOnlyPort() does */
export function byHand(openVSwitch: OpenVSwitch, { dump, result, directory }: ByHandOptions): Contender {
  const { ofport: from, lines } = flowsOfOnlyPort(dump);
  const flows = join(directory, 'by-hand.flows');
  writeFileSync(flows, replayed(lines, { from, to: ofport, cookie }));
  openVSwitch.addBridge(bridge);
  const { mac, address } = endpointOf(result);
  return {
    name: 'ip, ovs-vsctl, ovs-ofctl',
    executable: join(import.meta.dirname, 'by-hand.sh'),
    conf: {},
    env: {
      PATH: process.env['PATH'] ?? '', OVS_RUNDIR: openVSwitch.directory,
      HAND_DATABASE: openVSwitch.databaseSocket, HAND_BRIDGE: bridge, HAND_OFPORT: String(ofport), HAND_COOKIE: cookie, HAND_FLOWS: flows,
      HAND_MAC: mac, HAND_ADDRESS: address,
    },
  };
}

/** How many flows the script has sent, as the switch counts them. */
export function flowsByHand(openVSwitch: OpenVSwitch): number {
  return countFlows(openVSwitch, bridge, `cookie=${cookie}/-1`);
}

/** The container's MAC and address in a result of CNI. */
function endpointOf(result: string): { readonly mac: string; readonly address: string } {
  const { interfaces, ips } = JSON.parse(result) as { readonly interfaces: readonly { readonly mac: string; readonly sandbox?: string }[]; readonly ips: readonly { readonly address: string }[] };
  const mac = interfaces.find(({ sandbox }) => sandbox !== undefined && sandbox !== '')?.mac;
  const address = ips[0]?.address;
  if (mac === undefined || address === undefined) throw new RangeError(`the result of ADD must have an interface and an address: current text is ${result}`);
  return { mac, address };
}
