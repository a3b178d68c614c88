/** Order statistics. Pure. */

/** The value below which a share of the samples lies (nearest rank). @throws RangeError without samples */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))];
  if (value === undefined) throw new RangeError('percentile must have samples: there are none');
  return value;
}

export interface Summary {
  readonly p50: number;
  readonly p95: number;
}

/** Median and 95th percentile of milliseconds. */
export function summarise(samples: readonly number[]): Summary {
  return { p50: percentile(samples, 0.5), p95: percentile(samples, 0.95) };
}
