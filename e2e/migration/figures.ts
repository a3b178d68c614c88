/** What is made of the mover's windows: samples, order statistics, and whether they reach the goals. Pure. */
import type { MovedFlow, MovedStream, Window } from './mover.ts';

/** Where a sender is, as a migration sees it. */
export type Role = 'source' | 'target' | 'third';

/** A flow to the machine, or from it, in one migration. */
export interface FlowSample extends MovedFlow {
  readonly role: Role;
  readonly direction: 'to' | 'from';
}

/** When weft has said that a migration is over, and the container at the source is still there. */
export interface Afterwards {
  /** Packets that came to the source all the same. */
  readonly atSource: number;
  /** Flows and connections by which nothing came before nobody waited any longer. */
  readonly silent: readonly string[];
}

/** One migration. */
export interface Sample {
  readonly flows: readonly FlowSample[];
  readonly streams: readonly MovedStream[];
  readonly timeline: Window['timeline'];
  /** Absent: nobody looked, as after a move that nobody knew of. */
  readonly afterwards?: Afterwards;
  /** Why it is not judged: what the instrument itself has spoilt. */
  readonly spoilt?: string;
}

export interface Move {
  readonly from: number;
  readonly to: number;
  readonly senders: readonly { readonly name: string; readonly node: number }[];
  /** The machine's name. */
  readonly machine: string;
}

/** A pause of the mover catches up with packets that then come all at once: three of them in a moment that lets one through. */
const pauseMaxMs = 2;

/** What one window says of one migration. */
export function sampleOf(window: Window, { from, to, senders, machine }: Move): Sample {
  const roleOf = (name: string): Role => {
    const node = senders.find((sender) => sender.name === name)?.node;
    return node === from ? 'source' : node === to ? 'target' : 'third';
  };
  const flows = window.flows.map((flow): FlowSample => ({
    ...flow,
    direction: flow.to === machine ? 'to' : 'from',
    role: roleOf(flow.to === machine ? flow.from : flow.to),
  }));
  const spoilt = describeSpoiling(window);
  return { flows, streams: window.streams, timeline: window.timeline, ...(spoilt === undefined ? {} : { spoilt }) };
}

function describeSpoiling({ criticalPauseMs, socketDrops, backlogDrops, fault }: Window): string | undefined {
  if (fault !== undefined) return fault;
  if (socketDrops > 0) return `the mover's buffers lost ${socketDrops}`;
  if (backlogDrops > 0) return `the machine's queues lost ${backlogDrops}`;
  return criticalPauseMs > pauseMaxMs ? `the mover was away for ${criticalPauseMs.toFixed(1)} ms` : undefined;
}

/** Order statistics. */
export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly max: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((one, other) => one - other);
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
  return { count: sorted.length, p50: at(0.5), p95: at(0.95), max: at(1) };
}

/** All migrations of a course together. */
export interface Figures {
  readonly migrations: number;
  /** Those that count. */
  readonly judged: number;
  readonly spoilt: readonly string[];
  /** Packets to the machine, by flow and migration. */
  readonly lost: Spread;
  /** Of them those that were not sent while it stood still. */
  readonly beyondPause: Spread;
  /** Packets from the machine. */
  readonly lostFrom: Spread;
  readonly duplicated: Spread;
  readonly reordered: Spread;
  /** At the target's interface before the activation. */
  readonly early: Spread;
  readonly activationToFirstMs: Spread;
  readonly gapMs: Spread;
  /** Flows to the machine that had not come to it when nobody waited any longer. */
  readonly unreached: number;
  /** How long it stood still: the pause, and the answer that it waited for. */
  readonly standstillMs: Spread;
  /** How long the daemon took to answer the activation. */
  readonly answerMs: Spread;
  readonly streams: StreamFigures | undefined;
}

export interface StreamFigures {
  readonly broken: readonly string[];
  readonly retransmitted: Spread;
  /** Absent: the kernel does not count them. */
  readonly timeouts?: Spread;
  readonly stallMs: Spread;
}

/** The figures of flows of one role, or of all. */
export function figuresOf(samples: readonly Sample[], role?: Role): Figures {
  const judged = samples.filter(({ spoilt }) => spoilt === undefined);
  const flows = judged.flatMap((sample) => sample.flows).filter((flow) => role === undefined || flow.role === role);
  const to = flows.filter(({ direction }) => direction === 'to');
  const from = flows.filter(({ direction }) => direction === 'from');
  const spread = (value: (flow: FlowSample) => number): Spread => spreadOf(to.map(value));
  return {
    migrations: samples.length,
    judged: judged.length,
    spoilt: samples.flatMap(({ spoilt }) => spoilt ?? []),
    lost: spread(({ lost }) => lost),
    beyondPause: spread(({ lostBefore, lostAfter }) => lostBefore + lostAfter),
    lostFrom: spreadOf(from.map(({ lost }) => lost)),
    duplicated: spread(({ duplicated }) => duplicated),
    reordered: spread(({ reordered }) => reordered),
    early: spread(({ early }) => early),
    activationToFirstMs: spreadOf(to.flatMap(({ activationToFirstMs }) => activationToFirstMs ?? [])),
    gapMs: spread(({ longestSilenceMs }) => longestSilenceMs),
    unreached: to.filter(({ activationToFirstMs }) => activationToFirstMs === undefined).length,
    standstillMs: spreadOf(judged.flatMap(({ timeline: { stopped, resumed } }) => (stopped === undefined || resumed === undefined ? [] : [resumed - stopped]))),
    answerMs: spreadOf(judged.flatMap(({ timeline: { triggered, answered } }) => (triggered === undefined || answered === undefined ? [] : [answered - triggered]))),
    streams: streamFiguresOf(judged.flatMap(({ streams }) => streams)),
  };
}

function streamFiguresOf(streams: readonly MovedStream[]): StreamFigures | undefined {
  if (streams.length === 0) return undefined;
  const timeouts = streams.flatMap((stream) => stream.timeouts ?? []);
  return {
    broken: streams.flatMap(({ broken, kind, family }) => (broken === undefined ? [] : [`${kind} by IPv${family}: ${broken}`])),
    retransmitted: spreadOf(streams.map(({ retransmitted }) => retransmitted)),
    ...(timeouts.length === 0 ? {} : { timeouts: spreadOf(timeouts) }),
    stallMs: spreadOf(streams.map(({ longestStallMs }) => longestStallMs)),
  };
}

/** What a course aims at: issue 6's figures, which are for a machine that has nothing else to do. Whatever else it has, see invariants.ts. */
export interface Goal {
  /** Told afterwards: what a silent machine loses until somebody speaks for it is nobody's fault. */
  readonly how: 'stop' | 'announcement' | 'told afterwards';
  readonly rateHz: number;
  readonly pauseMs: number;
  readonly firstPacketMs: number;
}

/** At least so many of a course's migrations must count. */
const judgedShareMin = 0.5;

/** The goals that are not reached, in words; those in packets are given for 1000 a second: none lost is less than a millisecond there. */
export function judge(figures: Figures, { how, rateHz, pauseMs, firstPacketMs }: Goal): readonly string[] {
  const { lost, beyondPause, lostFrom, early, activationToFirstMs, unreached, judged, migrations, streams, spoilt } = figures;
  const faults: string[] = [];
  const atMost = (what: string, value: number, limit: number): void => void (value > limit && faults.push(`${what} is ${value}, and at most ${limit} is wanted`));
  if (judged < migrations * judgedShareMin) faults.push(`only ${judged} of ${migrations} migrations can be judged: ${[...new Set(spoilt)].join('; ')}`);
  const scale = Math.max(1, rateHz / 1000);
  if (how === 'stop') {
    atMost('lost p50', lost.p50, scale - 1);
    atMost('lost p95', lost.p95, scale);
    atMost('lost max', lost.max, 2 * scale);
  }
  if (how === 'announcement') atMost('lost beyond the pause p95', beyondPause.p95, scale);
  if (how !== 'told afterwards') atMost('lost from the machine p95', lostFrom.p95, scale);
  atMost('early max', early.max, 0);
  atMost('unreached', unreached, 0);
  atMost('activation to first packet p95', activationToFirstMs.p95, firstPacketMs);
  for (const broken of streams?.broken ?? []) faults.push(`a connection ended: ${broken}`);
  if (pauseMs === 0) atMost('retransmission timeouts max', streams?.timeouts?.max ?? 0, 0);
  return faults;
}
