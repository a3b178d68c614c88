/**
 * The search for the largest packet that passes. Pure: which sizes to try, and what the outcomes mean.
 *
 * Every silent probe may have been lost by chance, so an outcome can only be trusted in one direction: what was answered has
 * passed. Whoever uses this confirms the end (survey.ts).
 */
import type { ProbeOutcome } from './prober.ts';

/** What is known of a path; bytes of packets. answeredBytes is less than failedBytes. */
export interface Bracket {
  /** Passes. */
  readonly answeredBytes: number;
  /** Has not passed. */
  readonly failedBytes: number;
}

/** The outcome of one probe. */
export interface Tried {
  readonly packetBytes: number;
  readonly outcome: ProbeOutcome;
}

/** Probes of one step are at most twice as many: they go out at once, so each step takes as long as one. */
const spreadPerStep = 12;
const usualPerStep = 6;

/**
 * What links and tunnels have as MTU, bytes, the likelier first: Ethernet; VXLAN over IPv4 and IPv6 (50 and 70 less); PPPoE (RFC 2516 §7); clouds' networks
 * (GCP 1460, AWS 9001); WireGuard (80 and 60 less); GRE (24 less); IP in IP and in IPv6 (20 and 40 less). With one of these a step or two are enough.
 */
const usualBytes = [1500, 1400, 1450, 1492, 1430, 1460, 1420, 9000, 8950, 8930, 1480, 1476, 1440, 1280, 8900, 9001];

/** The sizes to try next, in ascending order; none when the answer is known. Of a hint, which is what a router has named, both sides are tried, and nothing else. */
export function sizesToTry(bracket: Bracket, hints: readonly number[] = []): readonly number[] {
  const { answeredBytes, failedBytes } = bracket;
  const bothSides = (edges: readonly number[]): readonly number[] => {
    const inside = edges.filter((edge) => edge > answeredBytes && edge < failedBytes).slice(0, usualPerStep);
    return inside.flatMap((edge) => (edge + 1 < failedBytes ? [edge, edge + 1] : [edge]));
  };
  const hinted = bothSides(hints);
  const sizes = hinted.length > 0 ? hinted : [...bothSides(usualBytes), ...spread(bracket)];
  return [...new Set(sizes)].sort((a, b) => a - b);
}

/** What the outcomes say: the largest size that was answered, and the smallest above it that was not; Infinity where nothing above it has failed. */
export function narrowed({ answeredBytes, failedBytes }: Bracket, tried: readonly Tried[]): Bracket {
  const answered = Math.max(answeredBytes, ...tried.filter(({ outcome }) => outcome.kind === 'answered').map(({ packetBytes }) => packetBytes));
  const failed = tried.filter(({ packetBytes, outcome }) => outcome.kind !== 'answered' && packetBytes > answered).map(({ packetBytes }) => packetBytes);
  // What was answered beyond what had failed: that was lost by chance.
  const above = failedBytes > answered ? [failedBytes] : [];
  return { answeredBytes: answered, failedBytes: Math.min(...failed, ...above, Infinity) };
}

/** What routers and this node's kernel have named, each once. */
export function hintsOf(tried: readonly Tried[]): readonly number[] {
  return [...new Set(tried.flatMap(({ outcome }) => (outcome.kind === 'tooBig' && outcome.mtuBytes !== undefined ? [outcome.mtuBytes] : [])))];
}

function spread({ answeredBytes, failedBytes }: Bracket): readonly number[] {
  const gap = failedBytes - answeredBytes;
  const between = Math.min(spreadPerStep, gap - 1);
  return Array.from({ length: Math.max(0, between) }, (_, index) => answeredBytes + Math.round(((index + 1) * gap) / (between + 1)));
}
