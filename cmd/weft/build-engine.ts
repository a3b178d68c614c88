/** The composition root: the only place that names concrete parts together. */
import { readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { Claims } from '../../pkg/attachment/claims.ts';
import type { EngineParts } from '../../pkg/attachment/engine-parts.ts';
import { createEngine } from '../../pkg/attachment/engine.ts';
import { processExecutor } from '../../pkg/cni/delegate-executor.ts';
import type { CniPlugin } from '../../pkg/cni/dispatch.ts';
import { emptyNodeConf, type NodeConf } from '../../pkg/config/node-model.ts';
import type { NodeDatapath } from '../../pkg/datapath/datapath.ts';
import { openKernel, type OpenKernel } from '../../pkg/datapath/kernel.ts';
import { findUnderlay } from '../../pkg/datapath/underlay.ts';
import { WeftError } from '../../pkg/errors/weft-error.ts';
import { currentWorker, readBootId } from '../../pkg/ledger/boot.ts';
import { openLedger, type Ledger, type LedgerOptions } from '../../pkg/ledger/ledger.ts';
import type { LogCode } from '../../pkg/log/codes.ts';
import { findingsFileIn } from '../../pkg/path/findings-file.ts';
import { rememberedKnowledge } from '../../pkg/path/findings.ts';
import { keepAddonIn } from '../../pkg/sys/koffi.ts';
import { buildDatapath, openSwitchOf, type NodeSwitch } from './build-datapath.ts';
import type { Places } from './places.ts';

/** The engine over this machine's kernel, ledger and configuration; each is opened when it is first needed. */
export async function buildEngine(places: Places): Promise<CniPlugin> {
  const ovs = await openSwitchOf(places);
  const path = rememberedKnowledge(findingsFileIn(places.stateDirectory, (message) => warn('path-memory', message)));
  return createEngine(buildParts(places, { kernel: openKernelIn(places), ovs, path, nodeConf: () => readNodeConf(places), warn }));
}

/** The engine's parts, with all that the node's datapath can do. */
export interface NodeParts extends EngineParts {
  readonly datapath: NodeDatapath;
}

/** What differs between a process that answers one call and a daemon. */
export type Surroundings = Pick<EngineParts, 'kernel' | 'nodeConf' | 'warn'> & Partial<Pick<EngineParts, 'underlay' | 'path' | 'noteMtuChange' | 'background' | 'findDeafness'>> & Pick<LedgerOptions, 'walPagesMax' | 'deadlineMs' | 'company'> & { readonly ovs: NodeSwitch };

/** The engine's parts. */
export function buildParts(places: Places, { kernel, ovs, underlay, path, noteMtuChange, nodeConf, warn: say, background, findDeafness, ...ledgerOptions }: Surroundings): NodeParts {
  let ledger: Ledger | undefined;
  return {
    kernel,
    datapath: buildDatapath(kernel, ovs),
    underlay: underlay ?? ((...question) => findUnderlay(kernel.route, ...question)),
    ...(path === undefined ? {} : { path }),
    ...(noteMtuChange === undefined ? {} : { noteMtuChange }),
    ledger: () => (ledger ??= openLedger({ directory: places.stateDirectory, bootId: readBootId(), ...ledgerOptions })),
    nodeConf,
    executor: processExecutor,
    worker: currentWorker(),
    claims: new Claims(),
    ...(background === undefined ? {} : { background }),
    ...(findDeafness === undefined ? {} : { findDeafness }),
    pendingDirectories: [places.stateDirectory, places.runDirectory],
    now: Date.now,
    warn: say,
  };
}

/** The kernel; the native addon that reaches it is kept in the places. */
export function openKernelIn(places: Places, ...options: Parameters<typeof openKernel>): OpenKernel {
  keepAddonIn([places.stateDirectory, places.runDirectory].map((directory) => join(directory, 'native')));
  return openKernel(...options);
}

/** stdout belongs to the protocol; runtimes log what a plugin prints on stderr. */
function warn(_code: LogCode, message: string): void {
  writeSync(2, `weft: ${message}\n`);
}

/** The YAML parser is loaded only where there is something to parse: it takes as long as the whole of an ADD's kernel work. */
export async function readNodeConf({ configPath, isConfigRequired }: Places): Promise<NodeConf> {
  let text: string;
  try {
    text = readFileSync(configPath, 'utf8');
  } catch (error) {
    if (!isConfigRequired && error instanceof Error && 'code' in error && error.code === 'ENOENT') return emptyNodeConf;
    throw new WeftError('ioFailure', `Cannot read the node configuration ${configPath}`, { cause: error });
  }
  const { parseNodeConf } = await import('../../pkg/config/node-conf.ts');
  return parseNodeConf(text, configPath);
}
