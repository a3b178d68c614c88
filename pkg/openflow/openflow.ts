/**
 * What is asked of a switch: changes of its flows and groups, lists of what it has, packets.
 *
 * The package speaks OpenFlow 1.3 to Open vSwitch itself and does not run `ovs-ofctl`: a process costs an ADD more than the flows do, and its
 * text has no errors that say which flow was refused. Whatever a switch lists is decoded into the same values that it was made of, so that
 * what is wanted and what is there compare by flowKey() and flowContent().
 */
import { nextTurn } from '../sys/timer.ts';
import { bundleAdd, bundleControl } from './bundle.ts';
import type { OpenFlowConnection } from './connection.ts';
import { decodeListedPorts, listPortsRequest, packetOutRequest, type PacketOut, type Port } from './event.ts';
import type { Outcome } from './exchange.ts';
import { decodeListedFlows, flowModRequest, listFlowsRequest, type FlowFilter, type FlowMod, type ListedFlow } from './flow.ts';
import { decodeListedGroups, groupModRequest, listGroupsRequest, type Group, type GroupMod } from './group.ts';
import { barrierRequest, echoRequest, partOfAnswer, type Request } from './message.ts';
import { OpenFlowError } from './openflow-error.ts';
import type { Refusal } from './refusal.ts';

/** A change of the switch. */
export type Mod = FlowMod | GroupMod;

/** How long something may take. Default: the connection's deadline. */
export interface Deadline {
  readonly deadlineMs?: number;
}

/**
 * Carries changes out in their order, all of them or none, and no packet sees some of them only: a bundle, in two round trips.
 * @throws OpenFlowError `refused`, naming the first change that was refused: then nothing has changed; or one of unknown outcome
 * @throws RangeError when a value does not fit its field; nothing was sent
 */
export async function applyMods(connection: OpenFlowConnection, mods: readonly Mod[], { deadlineMs }: Deadline = {}): Promise<void> {
  if (mods.length === 0) return;
  const bundle = connection.nextBundle();
  const additions = (await modRequests(mods)).map((request) => bundleAdd(bundle, request));
  // Of a bundle that came to nothing as a whole, its first change says most.
  const open: Request = { ...bundleControl('open', bundle), describe: () => (additions[0] as Request).describe() };
  const requests = [open, ...additions, bundleControl('close', bundle)];
  // A change that cannot be read is not in the bundle, and a commit would carry out the others: so it is sent when all have been looked at.
  // A bundle that is never committed, because the deadline has passed, Open vSwitch forgets after 10 s.
  const followUp = (refusals: Outcome['refusals']): Request => bundleControl(refusals.size === 0 ? 'commit' : 'discard', bundle);
  requireAccepted(requests, await connection.exchange(requests, { deadlineMs, followUp }));
}

/**
 * Carries changes out in their order, each for itself: in one round trip, for the few changes of one endpoint.
 * @throws OpenFlowError `refused`, naming the first change that was refused: the others were done; or one of unknown outcome
 * @throws RangeError when a value does not fit its field; nothing was sent
 */
export async function sendMods(connection: OpenFlowConnection, mods: readonly Mod[], { deadlineMs }: Deadline = {}): Promise<void> {
  if (mods.length === 0) return;
  const requests = [...(await modRequests(mods)), barrierRequest()];
  requireAccepted(requests, await connection.exchange(requests, { deadlineMs }));
}

/** Every flow of which all of the filter is true. @throws OpenFlowError */
export async function listFlows(connection: OpenFlowConnection, filter: FlowFilter = {}, deadline: Deadline = {}): Promise<readonly ListedFlow[]> {
  // Asked for the cookie 0 Open vSwitch lists flows of its own as well, in a table that it says it has not.
  const decode = (part: Buffer): readonly ListedFlow[] => decodeListedFlows(part).filter(({ table }) => table < connection.features.tables);
  return list(connection, { request: listFlowsRequest(filter), decode, deadline });
}

/** Every group. @throws OpenFlowError */
export async function listGroups(connection: OpenFlowConnection, deadline: Deadline = {}): Promise<readonly Group[]> {
  return list(connection, { request: listGroupsRequest(), decode: decodeListedGroups, deadline });
}

/** Every port, the bridge's own (ports.local) among them. @throws OpenFlowError */
export async function listPorts(connection: OpenFlowConnection, deadline: Deadline = {}): Promise<readonly Port[]> {
  return list(connection, { request: listPortsRequest(), decode: decodeListedPorts, deadline });
}

/** Has the switch send a packet. @throws OpenFlowError `refused` where its actions cannot be; or one of unknown outcome */
export async function sendPacket(connection: OpenFlowConnection, packet: PacketOut, { deadlineMs }: Deadline = {}): Promise<void> {
  const requests = [packetOutRequest(packet), barrierRequest()];
  requireAccepted(requests, await connection.exchange(requests, { deadlineMs }));
}

/** Asks whether the switch is there and answers. @throws OpenFlowError */
export async function probe(connection: OpenFlowConnection, { deadlineMs }: Deadline = {}): Promise<void> {
  const requests = [echoRequest()];
  requireAccepted(requests, await connection.exchange(requests, { deadlineMs }));
}

interface Listing<T> {
  readonly request: Request;
  readonly decode: (part: Buffer) => readonly T[];
  readonly deadline: Deadline;
}

/** Each part is decoded when it comes: a long list does not hold up the event loop. */
async function list<T>(connection: OpenFlowConnection, { request, decode, deadline }: Listing<T>): Promise<readonly T[]> {
  const items: T[] = [];
  const onPart = (body: Buffer): void => {
    for (const item of decode(partOfAnswer(body))) items.push(item);
  };
  requireAccepted([request], await connection.exchange([request], { ...deadline, onPart }));
  return items;
}

/** So many changes are encoded before others have their turn: some milliseconds of work. */
const modsPerTurn = 500;

/** All are encoded before the first is sent, so that one which cannot be is found in time. */
async function modRequests(mods: readonly Mod[]): Promise<readonly Request[]> {
  const requests: Request[] = [];
  for (const mod of mods) {
    if (requests.length % modsPerTurn === modsPerTurn - 1) await nextTurn();
    requests.push(modRequest(mod));
  }
  return requests;
}

function modRequest(mod: Mod): Request {
  switch (mod.kind) {
    case 'addGroup':
    case 'modifyGroup':
    case 'writeGroup':
    case 'deleteGroup':
      return groupModRequest(mod);
    default:
      return flowModRequest(mod);
  }
}

/** @throws OpenFlowError of the first that was refused */
function requireAccepted(requests: readonly Request[], { refusals }: Outcome): void {
  if (refusals.size === 0) return;
  const first = Math.min(...refusals.keys());
  const refusal = refusals.get(first) as Refusal;
  const what = requests[first]?.describe() ?? 'commit a bundle of changes';
  // That a bundle cannot be committed follows from the refusal of what is in it.
  const others = [...refusals.keys()].filter((index) => index !== first && index < requests.length).length;
  throw new OpenFlowError('refused', `Cannot ${what}: the switch refused it, ${refusal.words} (${refusal.name})${others > 0 ? `; and ${others} more` : ''}`, { refusal });
}
