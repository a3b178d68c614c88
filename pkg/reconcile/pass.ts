/**
 * One pass: the ledger's view of the node is compared with the kernel, and what differs is put right.
 *
 * What is repaired is looked up in the ledger again inside the transaction that repairs it: a DEL in between, by this process or
 * another, must not find its container made anew behind its back. Between two ports the event loop has its turn, so that a
 * pass over a full node keeps no ADD waiting for more than one of them.
 */
import type { EngineParts } from '../attachment/engine-parts.ts';
import { finishPendingDels } from '../attachment/pending.ts';
import { changeSegment } from '../attachment/change-segment.ts';
import { mendGuardOf } from '../attachment/guard.ts';
import { keepMtus } from '../attachment/segment-plan.ts';
import { isBeingWorkedOn } from '../attachment/predecessor.ts';
import { dropUnusedSegments, removeUnchanged, type Caller } from '../attachment/remove.ts';
import { completed, joinRepairs, nothingWrong, type Repair } from '../datapath/fault.ts';
import type { Observation } from '../datapath/observation.ts';
import { findUnderlay, type UnderlayFinder } from '../datapath/underlay.ts';
import { describeError } from '../errors/weft-error.ts';
import type { AttachmentRecord, LedgerReader } from '../ledger/ledger.ts';
import type { Vni } from '../netaddr/netaddr.ts';
import type { AttachmentPort, Segment } from '../overlay/model.ts';
import { bridgeName } from '../overlay/names.ts';
import { nextTurn } from '../sys/timer.ts';
import type { Findings, RepairKind } from './findings.ts';
import { describeFollowed, followMtu } from './follow-mtu.ts';
import { describeShortage } from './mtu-course.ts';
import { describeChange, replanSegment, type PlannedMtus, type Surroundings } from './replan.ts';
import type { Scope } from './scope.ts';
import type { Vanished } from './vanished.ts';

export interface PassParts {
  readonly engine: EngineParts;
  readonly findings: Findings;
  readonly vanished: Vanished;
  /** What delegated IPAM plugins are called with when nobody's call is at hand. */
  readonly caller: () => Caller;
  /** Finds the underlay as it is now; absent: by asking the kernel. */
  readonly underlay?: UnderlayFinder;
  /** Asked before a tenant's MTU is raised. False: not yet, and whoever says so asks for another pass in time. Absent: at once. */
  readonly mayRaise?: () => boolean;
  /** Runs when no call about the container is under way. */
  readonly exclusively: <T>(containerId: string, work: () => Promise<T>) => Promise<T>;
}

/** What the ledger has. */
interface Snapshot {
  readonly segments: readonly Segment[];
  readonly attached: readonly AttachmentRecord[];
  readonly interrupted: readonly AttachmentRecord[];
}

/** Goes over what the scope names; returns whether something failed that is worth another try. @throws WeftError when the ledger cannot be used */
export async function runPass(parts: PassParts, scope: Scope): Promise<boolean> {
  if (scope.everything) await finishPendingDels(parts.engine, parts.caller());
  const snapshot = takeSnapshot(parts.engine, scope);
  await removeInterrupted(parts, snapshot);
  const arePlansDone = !(scope.everything || scope.underlay) || (await replanSegments(parts, snapshot));
  // First of all: without its guard a port is open.
  const isGuardWhole = !(scope.everything || scope.guard) || repairGuard(parts);
  // For a whole node all tables are read once, behind the snapshot: what the ledger had by then must be in the kernel.
  const seen = scope.everything ? await parts.engine.datapath.observe(snapshot.segments) : undefined;
  const remade = await repairSegments(parts, snapshot.segments.filter(({ vni }) => scope.everything || scope.vnis.has(vni)), seen);
  const chosen = snapshot.attached.filter(({ hostIf }) => scope.everything || scope.hostIfs.has(hostIf));
  const others = remade.vnis.size === 0 ? [] : listPortsOf(parts.engine, remade.vnis).filter((record) => !chosen.some(({ seq }) => seq === record.seq));
  const arePortsWhole = await repairPorts(parts, [...chosen, ...others], (record) => (remade.vnis.has(record.vni) ? undefined : seen));
  if (scope.everything) await tidyUp(parts, snapshot);
  forgetRemoved(parts);
  return !(arePlansDone && isGuardWhole && remade.areWhole && arePortsWhole);
}

/** The rows that the scope may need: reading all of them takes longer than a look at one port. */
function takeSnapshot(engine: EngineParts, scope: Scope): Snapshot {
  const isWide = scope.everything || scope.underlay;
  return engine.ledger().read((tx) => {
    const records = isWide ? tx.listAttachments() : [...scope.hostIfs].flatMap((hostIf) => tx.findAttachmentByHostIf(hostIf) ?? []);
    return {
      segments: tx.listSegments().map((entry) => entry.segment),
      attached: records.filter((record) => record.state === 'attached'),
      interrupted: scope.everything ? records.filter((record) => record.state !== 'attached' && !isBeingWorkedOn(engine, record)) : [],
    };
  });
}

function listPortsOf(engine: EngineParts, vnis: ReadonlySet<Vni>): AttachmentRecord[] {
  return engine.ledger().read((tx) => [...vnis].flatMap((vni) => tx.listAttachments({ vni, state: 'attached' })));
}

/** ADDs and DELs that nobody will finish any more. */
async function removeInterrupted(parts: PassParts, { interrupted }: Snapshot): Promise<void> {
  for (const record of interrupted) await removeFor(parts, record, `the ${record.state === 'adding' ? 'ADD' : 'DEL'} of container ${record.key.containerId}, ${record.key.ifName} was interrupted: removed`);
}

async function removeFor(parts: PassParts, record: AttachmentRecord, what: string): Promise<void> {
  const { engine, findings } = parts;
  const subject = record.hostIf;
  try {
    const isRemoved = await parts.exclusively(record.key.containerId, () => removeUnchanged(engine, record, parts.caller()));
    if (isRemoved) findings.noteRepairs('removal', subject, [what]);
    findings.noteFaults(subject, []);
  } catch (error) {
    findings.noteFaults(subject, [`container ${record.key.containerId}, ${record.key.ifName} cannot be removed: ${describeError(error)}`]);
  }
}

/** Peers, gateways and MTUs as the configuration and the underlay have them by now; returns whether the kernel took all that is new. */
async function replanSegments(parts: PassParts, { segments, attached }: Snapshot): Promise<boolean> {
  const { engine, findings } = parts;
  const node = await engine.nodeConf();
  const surroundings = { underlay: parts.underlay ?? ((...question) => findUnderlay(engine.kernel.route, ...question)), ...(engine.path === undefined ? {} : { path: engine.path }) } satisfies Surroundings;
  let areDone = true;
  for (const present of segments) {
    const newest = attached.findLast((record) => record.vni === present.vni);
    if (newest === undefined) continue;
    const others = segments.filter((other) => other.vni !== present.vni);
    const replanned = replanSegment(surroundings, node, { present, newest, others });
    const refusal = 'segment' in replanned ? (await tryPlan(parts, present, replanned.segment)) ?? (await tryMtu(parts, present, replanned)) : undefined;
    const ports = attached.filter((record) => record.vni === present.vni).map(({ port }) => port);
    findings.noteFaults(`plan of ${present.tenant}`, 'fault' in replanned ? [replanned.fault] : [...(refusal ?? []), ...remarksOf(present, replanned, ports)]);
    areDone &&= refusal === undefined;
  }
  return areDone;
}

/** What is wrong with a plan that was carried out all the same. */
function remarksOf({ tenant }: Segment, { misfit, fitting }: PlannedMtus, ports: readonly AttachmentPort[]): string[] {
  return [misfit, describeShortage(tenant, fitting, ports)].filter((remark) => remark !== undefined);
}

/** Carries another MTU into what is there; why the kernel did not take it, in words. */
async function tryMtu({ engine, findings, mayRaise = () => true }: PassParts, { vni, tenant, overlayMtu }: Segment, { fitting, because }: PlannedMtus): Promise<string[] | undefined> {
  const isHeld = fitting.overlayMtu > overlayMtu && !mayRaise();
  try {
    const followed = await followMtu(engine, { vni, fitting: isHeld ? { ...fitting, overlayMtu } : fitting });
    if (followed === undefined) return undefined;
    findings.noteRepairs('mtu', `MTU of ${tenant}`, [describeFollowed(tenant, followed, because)]);
    return followed.failed.length === 0 ? undefined : [...followed.failed];
  } catch (error) {
    return [`tenant ${tenant} keeps its MTU: ${describeError(error)}`];
  }
}

/** Why the kernel did not take the plan, in words; what it refuses to one tenant must not stop the pass. */
async function tryPlan(parts: PassParts, present: Segment, wanted: Segment): Promise<string[] | undefined> {
  try {
    await applyPlan(parts, present, wanted);
    return undefined;
  } catch (error) {
    return [`tenant ${present.tenant} stays as it is: ${describeError(error)}`];
  }
}

async function applyPlan({ engine, findings }: PassParts, present: Segment, wanted: Segment): Promise<void> {
  const change = describeChange(present, wanted);
  if (change.length === 0) return;
  // An ADD may have brought it up to date in the meantime.
  const isApplied = await changeSegment(engine, present.vni, (current) => (describeChange(current, present).length > 0 ? undefined : keepMtus(wanted, current).segment));
  if (isApplied) findings.noteRepairs('plan', `plan of ${wanted.tenant}`, change);
}

/** Repairs segments; `vnis` are those whose ports must be looked at afresh. */
async function repairSegments(parts: PassParts, segments: readonly Segment[], seen: Observation | undefined): Promise<{ vnis: ReadonlySet<Vni>; areWhole: boolean }> {
  const vnis = new Set<Vni>();
  let areWhole = true;
  for (const { vni, datapath } of segments) {
    const begun = inLedger(parts, (tx) => {
      const segment = tx.findSegment(vni)?.segment;
      if (segment === undefined || tx.countAttachments(vni) === 0) return undefined;
      return orFailed(bridgeName(vni), () => parts.engine.datapath.repairSegment(segment, seen));
    });
    if (begun === undefined) continue;
    const repair = await completed(begun);
    note(parts, { kind: 'segment', subject: bridgeName(vni) }, repair);
    // Ports of a bridge that was made anew are no longer its ports; a switch's stay what they are.
    if (repair.repaired.length > 0 && datapath !== 'ovs') vnis.add(vni);
    areWhole &&= repair.failed.length === 0;
  }
  return { vnis, areWhole };
}

async function repairPorts(parts: PassParts, records: readonly AttachmentRecord[], seenOf: (record: AttachmentRecord) => Observation | undefined): Promise<boolean> {
  let areWhole = true;
  for (const record of records) {
    const repairs = inLedger(parts, (tx) => repairPort(parts.engine, tx, { record, seen: seenOf(record) }));
    if (repairs !== undefined) {
      const repair = joinRepairs(await completed(repairs.port), repairs.container);
      note(parts, { kind: 'endpoint', subject: record.hostIf }, repair);
      areWhole &&= repair.failed.length === 0;
      await followContainer(parts, record, repairs);
    }
    await nextTurn();
  }
  return areWhole;
}

interface PortRepairs {
  readonly port: Repair;
  readonly container: Repair;
}

function repairPort({ datapath }: EngineParts, tx: LedgerReader, { record, seen }: { record: AttachmentRecord; seen: Observation | undefined }): PortRepairs | undefined {
  const present = tx.findAttachmentBySeq(record.seq);
  const segment = tx.findSegment(record.vni)?.segment;
  if (present?.state !== 'attached' || segment === undefined) return undefined;
  const request = { segment, port: present.port, netns: present.netns, netnsId: present.netnsId };
  const port = orFailed(record.hostIf, () => datapath.repairPort(request, seen));
  return { port, container: orFailed(record.hostIf, () => datapath.repairContainer(request)) };
}

/** What cannot even be looked at must not keep the rest of the node from being repaired. */
function orFailed(subject: string, look: () => Repair): Repair {
  try {
    return look();
  } catch (error) {
    return { ...nothingWrong, failed: [`${subject} cannot be compared with the ledger: ${describeError(error)}`] };
  }
}

/** A container whose namespace is gone is collected in the end. */
async function followContainer(parts: PassParts, record: AttachmentRecord, { port, container }: PortRepairs): Promise<void> {
  if (container.isGone !== true) return parts.vanished.noteThere(record.seq);
  if (!parts.vanished.noteGone({ seq: record.seq, hostIf: record.hostIf, isPortGone: port.isGone === true })) return;
  await removeFor(parts, record, `the namespace ${record.netns} of container ${record.key.containerId}, ${record.key.ifName} is gone and no DEL came: removed`);
}

function repairGuard(parts: PassParts): boolean {
  try {
    const mended = parts.engine.ledger().write((tx) => mendGuardOf(parts.engine, tx));
    parts.findings.noteRepairs('guard', 'guard', mended);
    parts.findings.noteFaults('guard', []);
    return true;
  } catch (error) {
    parts.findings.noteFaults('guard', [`the guard cannot be mended: ${describeError(error)}`]);
    return false;
  }
}

/** What belongs to no attachment goes. */
async function tidyUp({ engine, findings, vanished }: PassParts, { segments, attached, interrupted }: Snapshot): Promise<void> {
  try {
    await dropUnusedSegments(engine);
    const removed = await engine.ledger().write((tx) => engine.datapath.collect({
      segments: tx.listSegments().map((entry) => entry.segment),
      ports: tx.listAttachments().map((record) => record.port),
    }));
    findings.noteRepairs('garbage', 'garbage', removed.map((what) => `${what} belonged to no attachment: removed`));
    findings.noteFaults('garbage', []);
  } catch (error) {
    findings.noteFaults('garbage', [`what belongs to no attachment cannot be removed: ${describeError(error)}`]);
  }
  vanished.retain(new Set(attached.map((record) => record.seq)));
  const subjects = new Set(['guard', 'garbage', ...segments.flatMap(({ vni, tenant }) => [bridgeName(vni), `plan of ${tenant}`]), ...[...attached, ...interrupted].map((record) => record.hostIf)]);
  findings.retain((subject) => subjects.has(subject));
}

/** Containers that went and whose DEL has come since need no second look. */
function forgetRemoved({ engine, vanished }: PassParts): void {
  const { pending } = vanished;
  if (pending.size === 0) return;
  const removed = engine.ledger().read((tx) => [...pending.keys()].filter((seq) => tx.findAttachmentBySeq(seq)?.state !== 'attached'));
  for (const seq of removed) vanished.forget(seq);
}

function note({ findings }: PassParts, { kind, subject }: { readonly kind: RepairKind; readonly subject: string }, { repaired, left, failed }: Repair): void {
  findings.noteRepairs(kind, subject, repaired);
  findings.noteFaults(subject, [...left, ...failed]);
}

/** Looks and repairs within a transaction, so that what is repaired is wanted until it is. */
function inLedger<T>({ engine }: PassParts, work: (tx: LedgerReader) => T): T {
  return engine.ledger().write(work);
}
