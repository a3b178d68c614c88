/** What the doctor has to look with; the composition root builds it. */
import type { Kernel } from '../../datapath/kernel.ts';
import type { NodeDatapath } from '../../datapath/datapath.ts';
import type { DaemonState, NodeState } from '../../report/node-state.ts';
import type { SwitchTools } from '../segments.ts';

/** A node and the ways to look at it. */
export interface Surroundings {
  readonly node: NodeState;
  readonly daemon: DaemonState;
  readonly socket: string;
  readonly stateDirectory: string;
  readonly kernel: Kernel;
  readonly datapath: NodeDatapath;
  /** The node's Open vSwitch; undefined where neither the configuration nor a tenant has one. */
  readonly ovs: { readonly tools: SwitchTools; readonly findObstacle: () => Promise<string | undefined> } | undefined;
  /** Where runtimes take networks from. */
  readonly networkDirectory: string;
  /** The plugin that runtimes execute. */
  readonly launcher: string;
  /** What the launcher executes where there is no daemon. */
  readonly executable: string;
  /** Of the weft that asks. */
  readonly version: string;
  readonly isRoot: boolean;
}
