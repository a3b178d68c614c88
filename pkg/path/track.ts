/** What is known of one way to one peer, from one look to the next. Pure. It is quick to take a path for narrow, and slow to take that back. */
import type { Survey } from './survey.ts';

/** A path that is narrower than this node's interfaces say. */
export interface Narrowness {
  /** The largest packet that passes. */
  readonly packetBytes: number;
  /** Milliseconds since the epoch. */
  readonly since: number;
}

export interface Track {
  /** What this node's interfaces say, bytes of a packet. */
  readonly fullBytes: number;
  /** What the last look that could say something has said. */
  readonly state: 'unknown' | 'whole' | 'narrow' | 'unanswered';
  /** When something was last answered, and how large it was. */
  readonly proof?: { readonly packetBytes: number; readonly at: number };
  /** Also while nothing is answered, and after it was found wider for the first time. */
  readonly narrow?: Narrowness;
  /** A size above the finding that has passed, and how many times in a row. */
  readonly wider?: { readonly packetBytes: number; readonly rounds: number };
  /** When it became narrow, as far as that is not long ago; milliseconds since the epoch. */
  readonly narrowings: readonly number[];
}

/** A finding is taken back, or made smaller, when so many looks in a row have seen more. */
const roundsToWiden = 2;
/** A path that was found narrow again and again, as one of several links that are used in turns, has to be wide for longer: this often at most. */
const roundsToWidenMax = 32;
/** How long an earlier narrowing counts. */
const memoryMs = 3_600_000;

/** Before the first look. @param narrow what an earlier daemon has found */
export function newTrack(fullBytes: number, narrow?: Narrowness): Track {
  return { fullBytes, state: 'unknown', ...(narrow === undefined || narrow.packetBytes >= fullBytes ? {} : { narrow }), narrowings: narrow === undefined ? [] : [narrow.since] };
}

/** The interfaces say something else now. What passes is what it was; a finding that they agree with by now is none. */
export function resized(track: Track, fullBytes: number): Track {
  const { narrow, wider: _wider, ...rest } = track;
  const isStill = narrow !== undefined && narrow.packetBytes < fullBytes;
  return { ...rest, fullBytes, state: 'unknown', ...(isStill ? { narrow } : {}) };
}

/** Without the finding: somebody who knows better has said that it is none. */
export function withdrawn({ narrow: _narrow, wider: _wider, ...track }: Track): Track {
  return { ...track, state: 'unknown' };
}

/** After a look. @param now milliseconds since the epoch */
export function observed(track: Track, survey: Survey, now: number): Track {
  if (survey.kind === 'unclear') return track;
  const { wider: _wider, ...rest } = track;
  if (survey.kind === 'unanswered') return { ...rest, state: 'unanswered' };
  const packetBytes = survey.kind === 'whole' ? track.fullBytes : survey.packetBytes;
  const seen: Track = { ...rest, state: survey.kind, proof: { packetBytes, at: now } };
  const { narrow } = track;
  if (narrow !== undefined && packetBytes > narrow.packetBytes) return widened(seen, { ...track, narrow }, { packetBytes, now });
  if (survey.kind === 'whole' || packetBytes === narrow?.packetBytes) return seen;
  const narrowings = [...track.narrowings, now].filter((at) => now - at < memoryMs).slice(-roundsToWidenMax);
  return { ...seen, narrow: { packetBytes, since: narrow?.since ?? now }, narrowings };
}

/** How many looks in a row must have seen a wider path before it is taken for one. */
export function roundsUntilWide({ narrowings }: Pick<Track, 'narrowings'>, now: number): number {
  const recent = narrowings.filter((at) => now - at < memoryMs).length;
  return Math.min(roundsToWiden * 2 ** Math.max(0, recent - 1), roundsToWidenMax);
}

function widened(seen: Track, before: Track & { readonly narrow: Narrowness }, { packetBytes, now }: { readonly packetBytes: number; readonly now: number }): Track {
  const rounds = before.wider?.packetBytes === packetBytes ? before.wider.rounds + 1 : 1;
  if (rounds < roundsUntilWide(before, now)) return { ...seen, wider: { packetBytes, rounds } };
  const { narrow: _narrow, ...rest } = seen;
  return packetBytes >= seen.fullBytes ? rest : { ...rest, narrow: { packetBytes, since: before.narrow.since } };
}
