/** What holds of every migration on any machine, however busy it is. Pure. */
import type { FlowSample, Goal, Sample } from './figures.ts';
import type { MovedFlow, Window } from './mover.ts';

/** More than a busy machine takes from packets, and less than usualPatienceMs, which an endpoint that is cut off takes. */
export const forgivenMs = 2000;

/** Flows and connections of the window by which nothing came. */
export function silentOf({ flows, streams }: Pick<Window, 'flows' | 'streams'>): readonly string[] {
  return [
    ...flows.filter(({ sent, lost }) => sent <= lost).map(title),
    ...streams.filter(({ kind, bytes, requests }) => (kind === 'ask' ? requests : bytes) === 0).map(({ kind, family }) => `${kind} by IPv${family}`),
  ];
}

/** What is broken, in words that say in which migration. */
export function findBroken(samples: readonly Sample[], goal: Pick<Goal, 'rateHz' | 'pauseMs'>): readonly string[] {
  return samples.flatMap((sample, index) => brokenIn(sample, goal).map((words) => `migration ${index + 1}: ${words}`));
}

function brokenIn({ flows, streams, timeline, afterwards, spoilt }: Sample, { rateHz, pauseMs }: Pick<Goal, 'rateHz' | 'pauseMs'>): readonly string[] {
  const { stopped = 0, resumed = 0 } = timeline;
  // A machine waits for the answer to its activation, however long its pause is meant to be.
  const limit = (Math.max(pauseMs, resumed - stopped) + forgivenMs) * (rateHz / 1000);
  return [
    ...flows.filter(({ early }) => early > 0).map((flow) => `${flow.early} came to the target before the activation, ${title(flow)}`),
    // The instrument's own losses are no bound's.
    ...(spoilt === undefined ? flows : []).flatMap((flow) => excessOf(flow, limit)),
    ...streams.flatMap(({ broken, kind, family }) => (broken === undefined ? [] : [`a connection ended, ${kind} by IPv${family}: ${broken}`])),
    ...(afterwards === undefined || afterwards.atSource === 0 ? [] : [`${afterwards.atSource} came to the source when it was over`]),
    ...(afterwards?.silent ?? []).map((who) => `nothing comes when it is over: ${who}`),
  ];
}

function excessOf(flow: FlowSample, limit: number): readonly string[] {
  return (['lost', 'duplicated'] as const).filter((what) => flow[what] > limit).map((what) => `${flow[what]} ${what}, ${title(flow)}, and at most ${Math.round(limit)} are forgiven`);
}

function title({ from, to, family }: MovedFlow): string {
  return `from ${from} to ${to} by IPv${family}`;
}
