/**
 * For every-step.netns.test.ts: one process that runs one verb of the engine with a mishap at one step, inside the node's
 * namespace (it is started by `ip netns exec`). Argument: JSON. Prints JSON: the steps, and the error where there was one.
 */
import { spawnSync } from 'node:child_process';
import { Claims } from './claims.ts';
import type { EngineParts } from './engine-parts.ts';
import { createEngine } from './engine.ts';
import { Stepper, steppingKernel, steppingLedger, type StepPlan } from './test-steps.ts';
import { processExecutor } from '../cni/delegate-executor.ts';
import type { CniRequest } from '../cni/dispatch.ts';
import { emptyNodeConf } from '../config/node-model.ts';
import { openKernel } from '../datapath/kernel.ts';
import { findUnderlay } from '../datapath/underlay.ts';
import { linuxBridgeDatapath } from '../datapath/linuxbridge/linuxbridge.ts';
import { currentWorker, readBootId } from '../ledger/boot.ts';
import { openLedger } from '../ledger/ledger.ts';

const deleteDeadlineMs = 15_000;

/** What the parent asks for. */
export interface StepCall {
  readonly verb: 'add' | 'del' | 'gc';
  readonly directory: string;
  readonly netns: string;
  readonly containerId: string;
  readonly conf: Readonly<Record<string, unknown>>;
  readonly plan: StepPlan;
}

/** What it is told. */
export interface StepAnswer {
  readonly steps: readonly string[];
  readonly error?: string;
}

async function run(call: StepCall): Promise<StepAnswer> {
  const stepper = new Stepper(call.plan, () => deleteInAnotherProcess(call));
  const kernel = steppingKernel(openKernel(), stepper);
  const ledger = openLedger({ directory: call.directory, bootId: readBootId() });
  const parts: EngineParts = {
    kernel,
    datapath: linuxBridgeDatapath(kernel),
    underlay: (...question) => findUnderlay(kernel.route, ...question),
    ledger: () => steppingLedger(ledger, stepper),
    nodeConf: () => Promise.resolve(emptyNodeConf),
    executor: processExecutor,
    worker: currentWorker(),
    claims: new Claims(),
    pendingDirectories: [call.directory],
    now: Date.now,
    warn: () => undefined,
  };
  try {
    await createEngine(parts)[call.verb](requestOf(call));
    return { steps: stepper.steps };
  } catch (error) {
    return { steps: stepper.steps, error: String(error) };
  }
}

function deleteInAnotherProcess(call: StepCall): void {
  const argument: StepCall = { ...call, verb: 'del', plan: { at: 0, mishap: 'fail-before' } };
  const child = spawnSync(process.execPath, [import.meta.filename, JSON.stringify(argument)], { timeout: deleteDeadlineMs, encoding: 'utf8' });
  if (child.status !== 0) throw new Error(`the DEL in between failed: ${child.stderr}`);
}

function requestOf({ verb, netns, containerId, conf }: StepCall): CniRequest {
  const isGc = verb === 'gc';
  return {
    verb: isGc ? 'GC' : verb === 'del' ? 'DEL' : 'ADD',
    containerId: isGc ? '' : containerId,
    netns: isGc ? '' : netns,
    ifName: isGc ? '' : 'eth0',
    args: new Map(), path: [], conf, cniVersion: '1.1.0', env: {},
    ...(isGc ? { validAttachments: [] } : {}),
  };
}

console.log(JSON.stringify(await run(JSON.parse(process.argv[2] ?? '') as StepCall)));
