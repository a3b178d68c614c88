/**
 * Whether what is left to the devices on the way to a peer is done right: the checksums of what tenants send, and the cutting of what they send in
 * one piece. Packets are small, so that no MTU on the way has a part in it.
 *
 * Each finding needs a packet of the same length that comes through with its checksum finished here: a peer that is down, an older one that does
 * not answer, or a path that loses everything is no finding.
 */
import type { Question, Reply } from './station.ts';

/** What was found. */
export type OffloadVerdict =
  | 'sound'
  /** Packets come damaged, or not at all, when their checksum is left to the devices. */
  | 'checksum'
  /** Such packets come through, and those that devices are to cut do not. */
  | 'segmentation'
  /** Packets come damaged even when nothing is left to the devices: no offload has a part in it. */
  | 'damaged'
  /** The peer does not answer. */
  | 'unknown';

export interface OffloadFinding {
  readonly verdict: OffloadVerdict;
  /** The peer's name, where it said it. */
  readonly node?: string;
}

/** Asks the peer once; undefined where it does not answer in time. */
export type Ask = (question: Question) => Promise<Reply | undefined>;

/** Bytes of IP packet inside the tunnel; over IPv6 the outer one has 494, and every path takes 1280 (RFC 8200 §5). */
const packetBytes = 424;
/** Headers of IP and TCP. */
const pieceBytes = packetBytes - 40;
const pieces = 8;
/** One that is lost on a busy link is no finding. */
const tries = 3;

const finished: Question = { kind: 'whole', packetBytes, isLeft: false };
const left: Question = { kind: 'whole', packetBytes, isLeft: true };
const segmented: Question = { kind: 'segmented', pieces, pieceBytes };

/** Tests the way to one peer; a sound one takes three packets and their answers. */
export async function testOffloads(ask: Ask): Promise<OffloadFinding> {
  const control = await askUntilIntact(ask, finished);
  if (control === undefined) return { verdict: 'unknown' };
  const node = control.node === undefined ? {} : { node: control.node };
  if (control.integrity === 'corrupt') return { verdict: 'damaged', ...node };
  for (const [question, verdict] of [[left, 'checksum'], [segmented, 'segmentation']] as const) {
    const reply = await askUntilIntact(ask, question);
    if (reply?.integrity === 'intact') continue;
    // It may have gone down in between.
    const isThere = (await askUntilIntact(ask, finished))?.integrity === 'intact';
    return { verdict: isThere ? verdict : 'unknown', ...node };
  }
  return { verdict: 'sound', ...node };
}

/** The first intact answer, or else the last of any kind. */
async function askUntilIntact(ask: Ask, question: Question): Promise<Reply | undefined> {
  let last: Reply | undefined;
  for (let attempt = 0; attempt < tries; attempt += 1) {
    const reply = await ask(question);
    if (reply?.integrity === 'intact') return reply;
    last = reply ?? last;
  }
  return last;
}
