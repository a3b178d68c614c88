/** What must hold of a node whatever wires its tenants, asked of nodes of each datapath. */
import t, { type Test } from 'tap';
import type { DatapathName } from './lab-node.ts';
import { skipWithoutLabOf } from './weft-executable.ts';

/** The datapaths, as the titles of tests call them. */
export const datapathTitles: Readonly<Record<DatapathName, string>> = { bridge: 'Linux bridges', ovs: 'Open vSwitch' };
/** For a test of one node; a switch takes a second to start. */
const timeoutMs = 60_000;

export interface EachDatapathOptions {
  /** Programs that the test needs beside those of the lab. */
  readonly tools?: readonly string[];
  /** Another reason not to run it, or false. */
  readonly skip?: string | false;
  /** Of each run, in milliseconds. @default a minute */
  readonly timeout?: number;
  /** @default both */
  readonly datapaths?: readonly DatapathName[];
}

/** Declares the test once for each datapath, whose name is part of the title. */
export function testEachDatapath(title: string, body: (t: Test, datapath: DatapathName) => Promise<void>, options: EachDatapathOptions = {}): void {
  const { tools = [], skip = false, timeout = timeoutMs, datapaths = ['bridge', 'ovs'] } = options;
  for (const datapath of datapaths) {
    t.test(`${title}: ${datapathTitles[datapath]}`, { skip: skip || skipWithoutLabOf([datapath], ...tools), timeout }, async (t) => body(t, datapath));
  }
}
