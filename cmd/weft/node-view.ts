/** Looking at a node from outside. Nothing is made or changed, and nothing waited for longer than a few seconds. */
import { join } from 'node:path';
import { describeError, WeftError } from '../../pkg/errors/weft-error.ts';
import { isWorkerAlive, readBootId } from '../../pkg/ledger/boot.ts';
import { observeLedger, type LedgerReader } from '../../pkg/ledger/ledger.ts';
import { listPendingDels } from '../../pkg/ledger/pending.ts';
import { ask } from '../../pkg/protocol/client.ts';
import { parseDaemonStatus } from '../../pkg/report/daemon-status.ts';
import { contentOf, emptyLedgerContent, type ConfigurationState, type DaemonState, type LedgerContent, type LedgerState, type NodeState } from '../../pkg/report/node-state.ts';
import { endpointsMaxOf } from './build-datapath.ts';
import { readNodeConf } from './build-engine.ts';
import type { Places } from './places.ts';

const ledgerDeadlineMs = 2000;
const daemonDeadlineMs = 2000;

/** Where a daemon listens. */
export function socketPathOf({ runDirectory }: Places): string {
  return join(runDirectory, 'weft.sock');
}

/** What there is on the node; what cannot be read is in it as such. */
export async function observeNode(places: Places): Promise<NodeState> {
  const node: NodeState = {
    now: Date.now(),
    ledgerPath: join(places.stateDirectory, 'ledger.db'),
    ledger: readLedger(places),
    configurationPath: places.configPath,
    configuration: await readConfiguration(places),
    pendingDels: listPendingDels([places.stateDirectory, places.runDirectory]),
    interrupted: new Set(),
    endpointsMaxOf,
  };
  const unfinished = contentOf(node).attachments.filter(({ state }) => state !== 'attached');
  return { ...node, interrupted: new Set(unfinished.filter(({ worker }) => !isWorkerAlive(worker)).map(({ seq }) => seq)) };
}

function readLedger({ stateDirectory }: Places): LedgerState {
  try {
    const ledger = observeLedger({ directory: stateDirectory, deadlineMs: ledgerDeadlineMs });
    if (ledger === undefined) return { kind: 'absent' };
    try {
      const isOfLastBoot = ledger.readBootId() !== readBootId();
      const content = ledger.read(readContent);
      if (!isOfLastBoot) return { kind: 'readable', content, leftByLastBoot: 0 };
      return { kind: 'readable', content: { ...emptyLedgerContent, identities: content.identities }, leftByLastBoot: content.attachments.length };
    } finally {
      ledger.close();
    }
  } catch (error) {
    return { kind: 'unreadable', problem: inWords(error) };
  }
}

function readContent(reader: LedgerReader): LedgerContent {
  const segments = reader.listSegments();
  return {
    segments,
    attachments: reader.listAttachments(),
    allocations: segments.flatMap(({ vni }) => reader.listAllocations({ vni })),
    identities: reader.listIdentities(),
  };
}

async function readConfiguration(places: Places): Promise<ConfigurationState> {
  try {
    const conf = await readNodeConf(places);
    return conf.path === undefined ? { kind: 'absent' } : { kind: 'valid', conf };
  } catch (error) {
    return { kind: 'invalid', problem: inWords(error) };
  }
}

/** Asks the daemon of the node what it has to say of itself. */
export async function observeDaemon(places: Places): Promise<DaemonState> {
  try {
    const reply = await ask(socketPathOf(places), 'status', { deadlineMs: daemonDeadlineMs });
    if (reply.kind === 'absent') return reply;
    if (reply.kind === 'elsewhere') return faulty(`it does not answer questions now: ${reply.words}`);
    if (reply.status !== 0) return faulty(`it could not answer: ${reply.body}`);
    return { kind: 'running', status: parseDaemonStatus(reply.body) };
  } catch (error) {
    if (error instanceof SyntaxError) return faulty(`its answer is not one that this weft understands: ${error.message}`);
    return faulty(inWords(error));
  }
}

function faulty(problem: string): DaemonState {
  return { kind: 'faulty', problem };
}

/** What is wrong and what to do about it, in one line. */
function inWords(error: unknown): string {
  const details = error instanceof WeftError ? error.details : '';
  return details === '' ? describeError(error) : `${describeError(error)}. ${details}`;
}
