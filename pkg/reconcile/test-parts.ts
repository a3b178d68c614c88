/** For tests: a node whose ledger is real and whose datapath is played, and what the reconciler says. */
import { Claims } from '../attachment/claims.ts';
import type { EngineParts } from '../attachment/engine-parts.ts';
import { emptyNodeConf } from '../config/node-model.ts';
import type { Datapath, KnownState } from '../datapath/datapath.ts';
import { nothingWrong, type Repair } from '../datapath/fault.ts';
import type { Kernel } from '../datapath/kernel.ts';
import type { Observation } from '../datapath/observation.ts';
import type { DatapathRepair } from '../datapath/repair.ts';
import type { DatapathResize } from '../datapath/resize.ts';
import { currentWorker } from '../ledger/boot.ts';
import type { AttachmentRecord, Ledger, NewAttachment } from '../ledger/ledger.ts';
import { openTestLedger, testAttachment, testSegment } from '../ledger/test-records.ts';
import type { Log } from '../log/log.ts';
import type { Netlink } from '../netlink/netlink-socket.ts';
import type { Segment } from '../overlay/model.ts';
import { alone } from '../sys/company.ts';
import { temporaryDirectory } from '../testing/directory.ts';
import { Findings } from './findings.ts';
import type { PassParts } from './pass.ts';
import { Vanished } from './vanished.ts';

type Scope = Parameters<typeof temporaryDirectory>[0];

/** A process that has never been: pids end at 4194304 (proc(5), pid_max). */
export const deadWorker = { pid: 4_194_305, startTime: '1' };

/** The one observation that the played datapath makes; only that it is handed on matters. */
export const observed = {} as Observation;

/** What the played datapath answers; a test changes it. */
export interface Answers {
  segment: (segment: Segment) => Repair;
  port: (hostIf: string) => Repair;
  container: (hostIf: string) => Repair;
  collect: (known: KnownState) => string[];
  mendGuard: (known: KnownState) => string[];
  detach: (hostIf: string) => Promise<void>;
  update: () => void;
  /** Called before a segment or a port is resized. */
  resize: (what: string, mtu: number) => void;
}

/** A node that is played. */
export interface PlayedNode {
  readonly parts: PassParts;
  readonly ledger: Ledger;
  /** What was asked of the datapath, in order. */
  readonly calls: string[];
  readonly answers: Answers;
  /** Lines of the log, `level message: what`. */
  readonly said: string[];
  /** Milliseconds of the clock by which containers are waited for. */
  clock: { now: number };
  /** Writes an attachment down; its segment comes with it. */
  put(attachment: NewAttachment, segment?: Segment): AttachmentRecord;
}

/** An attachment that is whole, the n-th; without limits and the like. */
export function attached(n: number, overrides: Partial<NewAttachment> = {}): NewAttachment {
  return testAttachment(n, { state: 'attached', worker: deadWorker, ...overrides });
}

/** Plays a node for a test. */
export function playNode(scope: Scope, engine: Partial<EngineParts> = {}): PlayedNode {
  const directory = temporaryDirectory(scope);
  const ledger = openTestLedger(scope, directory);
  const said: string[] = [];
  const calls: string[] = [];
  const answers = wholeAnswers();
  const clock = { now: 0 };
  const log = recordingLog(said);
  const parts: PassParts = {
    engine: {
      kernel: kernelWithoutAnything, underlay: () => unexpected('underlay'), datapath: playedDatapath(calls, answers), ledger: () => ledger, nodeConf: () => Promise.resolve(emptyNodeConf),
      executor: { isExecutable: () => false, run: () => Promise.reject(new Error('there is no plugin')) }, worker: currentWorker(), claims: new Claims(), pendingDirectories: [directory], now: () => 1000, warn: (_code, message) => said.push(`warn ${message}`),
      ...engine,
    },
    findings: new Findings(log, () => 1000),
    vanished: new Vanished(() => clock.now),
    caller: () => ({ env: {}, path: [] }),
    exclusively: (_containerId, work) => work(),
  };
  const put: PlayedNode['put'] = (attachment, segment = testSegment()) => ledger.write((tx) => {
    tx.putSegment({ vni: segment.vni, segment });
    return tx.insertAttachment(attachment);
  });
  return { parts, ledger, calls, answers, said, clock, put };
}

/** A log whose lines end up in a list. */
export function recordingLog(lines: string[]): Log {
  const at = (level: string): Log['info'] => (fields, message) => void lines.push(`${level} ${message}: ${String(fields['repaired'] ?? fields['fault'] ?? fields['error'] ?? '')}`);
  return { debug: () => undefined, info: at('info'), warn: at('warn'), error: at('error') };
}

/** A repair that put something right. */
export function repaired(...what: readonly string[]): Repair {
  return { ...nothingWrong, repaired: what };
}

/** A repair that the kernel refused. */
export function refused(...what: readonly string[]): Repair {
  return { ...nothingWrong, failed: what };
}

export const gone: Repair = { ...nothingWrong, isGone: true };

/** A node on which all is as it should be. */
function wholeAnswers(): Answers {
  return { segment: () => nothingWrong, port: () => nothingWrong, container: () => nothingWrong, collect: () => [], mendGuard: () => [], detach: () => Promise.resolve(), update: () => undefined, resize: () => undefined };
}

/** What a pass does not ask of a datapath. */
const unasked = { portsMaxOf: () => 1022, attach: () => unexpected('attach'), check: () => unexpected('check'), findObstacle: () => Promise.resolve(undefined) };

function playedDatapath(calls: string[], answers: Answers): Datapath {
  const detach: Datapath['detach'] = (port) => {
    calls.push(`detach ${port.hostIf}`);
    return answers.detach(port.hostIf);
  };
  return {
    ...unasked,
    ...playedRepair(calls, answers),
    ...playedResize(calls, answers),
    prepareRemoval: () => Promise.resolve(),
    detach,
    detachSoon: detach,
    updateSegment({ segment }) {
      calls.push(`update ${segment.vni}`);
      answers.update();
      return Promise.resolve();
    },
    removeSegment({ segment, ports = [] }) {
      calls.push(['remove', segment.vni, ...ports.map(({ hostIf }) => hostIf)].join(' '));
      return Promise.resolve();
    },
    trimGuard(segments) {
      calls.push(`trim ${segments.length}`);
      return Promise.resolve();
    },
    collect(known) {
      calls.push(`collect beside ${known.ports.length}`);
      return Promise.resolve(answers.collect(known));
    },
    mendGuard(known) {
      calls.push(`guard of ${known.ports.length}`);
      return answers.mendGuard(known);
    },
  };
}

function playedResize(calls: string[], answers: Answers): DatapathResize {
  return {
    resizeSegment({ vni, underlayMtu, overlayMtu }) {
      answers.resize(`segment ${vni}`, overlayMtu);
      calls.push(`resize ${vni} to ${underlayMtu} and ${overlayMtu}`);
      return Promise.resolve();
    },
    resizePort({ port }, mtu) {
      answers.resize(port.hostIf, mtu);
      calls.push(`resize ${port.hostIf} from ${port.mtu} to ${mtu}`);
      return { port: { ...port, mtu } };
    },
  };
}

function playedRepair(calls: string[], answers: Answers): DatapathRepair {
  const seenOrNow = (seen: Observation | undefined): string => (seen === observed ? 'seen' : 'now');
  return {
    observe() {
      calls.push('observe');
      return Promise.resolve(observed);
    },
    repairSegment(segment, seen) {
      calls.push(`segment ${segment.vni} ${seenOrNow(seen)}`);
      return answers.segment(segment);
    },
    repairPort({ port }, seen) {
      calls.push(`port ${port.hostIf} ${seenOrNow(seen)}`);
      return answers.port(port.hostIf);
    },
    repairContainer: ({ port }) => answers.container(port.hostIf),
  };
}

const netlinkWithoutAnything: Netlink = { request: () => [], tryRequest: () => [], dump: () => [], close: () => undefined };
const kernelWithoutAnything: Kernel = {
  route: netlinkWithoutAnything, netfilter: netlinkWithoutAnything,
  withRouteIn: () => unexpected('withRouteIn'), requestAside: () => unexpected('requestAside'), requestAsideIn: () => unexpected('requestAsideIn'), company: alone, setTxChecksumIn: () => undefined, readSysctl: () => undefined, setSysctl: () => undefined, removeLinks: () => Promise.resolve(), removeLinksSoon: () => Promise.resolve(), sendFrame: () => undefined, sendDatagram: () => undefined, close: () => undefined,
};

function unexpected(what: string): never {
  throw new Error(`${what} is not called by the reconciler`);
}
