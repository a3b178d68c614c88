/** Order statistics. Pure. */

/** The value below which a share of the samples lies (nearest rank). @throws RangeError without samples */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))];
  if (value === undefined) throw new RangeError('percentile must have samples: there are none');
  return value;
}

/** The value in the middle. @throws RangeError without samples */
export function median(samples: readonly number[]): number {
  return percentile(samples, 0.5);
}

export interface Summary {
  readonly p50: number;
  readonly p95: number;
}

/** Median and 95th percentile of milliseconds. */
export function summarise(samples: readonly number[]): Summary {
  return { p50: percentile(samples, 0.5), p95: percentile(samples, 0.95) };
}

/** A summary as a share of another one's. */
export function ratio(own: Summary, reference: Summary): Summary {
  return { p50: own.p50 / reference.p50, p95: own.p95 / reference.p95 };
}
