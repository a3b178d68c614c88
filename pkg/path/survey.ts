/**
 * One look at a path: does the full size pass, and if not, what does? Like Datagram Packetization Layer PMTU Discovery (RFC 8899), it believes
 * what was answered, and silence only where smaller packets are answered at the same time, again and again.
 */
import { packetBytesMin } from './message.ts';
import type { ProbeOutcome } from './prober.ts';
import { hintsOf, narrowed, sizesToTry, type Bracket, type Tried } from './search.ts';

/** Sends one probe of so many bytes. Never rejects. */
export type Ask = (packetBytes: number) => Promise<ProbeOutcome>;

export interface SurveySizes {
  /** What this node's interfaces say, bytes of a packet. */
  readonly fullBytes: number;
  /** What should pass everywhere. */
  readonly floorBytes: number;
  /** What is known to pass, and no more than that, where the path is narrow. */
  readonly knownBytes?: number;
}

export type Survey =
  /** The full size passes. */
  | { readonly kind: 'whole' }
  /** This passes, and a byte more does not. */
  | { readonly kind: 'narrow'; readonly packetBytes: number; /** The full size was refused, by this node's kernel or by a router, each time; nothing vanished. */ readonly isRefused: boolean }
  /** Nothing is answered, of whatever size. */
  | { readonly kind: 'unanswered' }
  /** So much is lost that nothing can be said. */
  | { readonly kind: 'unclear' };

/** Enough for any size (search.test.ts), and for some that are lost. */
const stepsMax = 12;

/** Looks at a path. In the good case it is one packet and one round trip. Never rejects. */
export async function surveyPath(ask: Ask, sizes: SurveySizes): Promise<Survey> {
  let isRefused = true;
  const noting: Ask = async (packetBytes) => {
    const outcome = await ask(packetBytes);
    if (packetBytes === sizes.fullBytes && outcome.kind !== 'tooBig') isRefused = false;
    return outcome;
  };
  const found = await look(noting, sizes);
  return found.kind === 'narrow' ? { ...found, isRefused } : found;
}

/** A survey that does not say yet how it was that the full size did not pass. */
type Found = Exclude<Survey, { readonly kind: 'narrow' }> | Omit<Extract<Survey, { readonly kind: 'narrow' }>, 'isRefused'>;

async function look(ask: Ask, sizes: SurveySizes): Promise<Found> {
  const { fullBytes, knownBytes } = sizes;
  const edges = knownBytes === undefined || knownBytes >= fullBytes ? [] : [knownBytes, knownBytes + 1];
  const first = await askAll(ask, [...new Set([fullBytes, ...edges])]);
  if (isAnswered(first, fullBytes)) return { kind: 'whole' };
  if (knownBytes !== undefined && isAnswered(first, knownBytes) && !isAnswered(first, knownBytes + 1)) return { kind: 'narrow', packetBytes: knownBytes };
  return doubt(ask, sizes, first);
}

/** A packet may have been lost: the full size is tried twice more, and smaller ones with it. */
async function doubt(ask: Ask, { fullBytes, floorBytes, knownBytes }: SurveySizes, first: readonly Tried[]): Promise<Found> {
  const smaller = [packetBytesMin, floorBytes, ...(knownBytes === undefined ? [] : [knownBytes])].filter((size) => size < fullBytes);
  const tried = [...first, ...(await askAll(ask, [...smaller, fullBytes, fullBytes]))];
  if (!tried.some(({ outcome }) => outcome.kind === 'answered')) tried.push(...(await askAll(ask, [packetBytesMin, packetBytesMin, floorBytes])));
  if (isAnswered(tried, fullBytes)) return { kind: 'whole' };
  if (!tried.some(({ outcome }) => outcome.kind === 'answered')) return { kind: 'unanswered' };
  return search(ask, narrowed({ answeredBytes: packetBytesMin, failedBytes: fullBytes }, tried), { fullBytes, hints: hintsOf(tried) });
}

async function search(ask: Ask, start: Bracket, { fullBytes, hints }: { readonly fullBytes: number; readonly hints: readonly number[] }): Promise<Found> {
  let [bracket, named] = [start, hints];
  for (let step = 0; step < stepsMax; step += 1) {
    const sizes = sizesToTry(bracket, named);
    const isEnd = sizes.length === 0;
    const { answeredBytes, failedBytes } = bracket;
    // Two of each: the end must hold once more before anybody acts on it.
    const tried = await askAll(ask, isEnd ? [answeredBytes, answeredBytes, failedBytes, failedBytes] : sizes);
    if (isEnd && !isAnswered(tried, answeredBytes) && !isAnswered(tried, failedBytes)) return { kind: 'unclear' };
    const next = narrowed(bracket, tried);
    if (next.answeredBytes >= fullBytes) return { kind: 'whole' };
    if (isEnd && next.answeredBytes === answeredBytes) return { kind: 'narrow', packetBytes: answeredBytes };
    bracket = { answeredBytes: next.answeredBytes, failedBytes: Math.min(next.failedBytes, fullBytes) };
    named = hintsOf(tried);
  }
  return { kind: 'unclear' };
}

async function askAll(ask: Ask, sizes: readonly number[]): Promise<readonly Tried[]> {
  return Promise.all(sizes.map(async (packetBytes) => ({ packetBytes, outcome: await ask(packetBytes) })));
}

function isAnswered(tried: readonly Tried[], size: number): boolean {
  return tried.some(({ packetBytes, outcome }) => packetBytes === size && outcome.kind === 'answered');
}
