/** When pods came, were ready, were told to go and had gone, by the clock of whoever watches the API. */
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import type { KubeApi, WatchEvent } from './kube-api.ts';
import { isReady, type Pod } from './pods.ts';

/** Milliseconds of performance.now(). */
interface Moments {
  readonly seen: number;
  ready?: number;
  told?: number;
  gone?: number;
}

/** Its lifetime is the scope's that it was started with. */
export class PodTimes {
  readonly #moments = new Map<string, Moments>();

  /** Starts to watch the pods of all namespaces. */
  static async start(scope: TeardownScope, api: KubeApi): Promise<PodTimes> {
    const times = new PodTimes();
    const { metadata } = await api.list<Pod>('/api/v1/pods');
    api.watch<Pod>(scope, '/api/v1/pods', metadata.resourceVersion, (event) => times.#note(event));
    return times;
  }

  /** From the pod's appearance in the API until it was ready; pods of these namespaces that appeared since. Milliseconds. */
  starts(namespaces: readonly string[], since: number): readonly number[] {
    return this.#of(namespaces).flatMap(({ seen, ready }) => (seen >= since && ready !== undefined ? [ready - seen] : []));
  }

  /** From the order to go until the pod had gone from the API. Milliseconds. */
  ends(namespaces: readonly string[], since: number): readonly number[] {
    return this.#of(namespaces).flatMap(({ told, gone }) => (told !== undefined && told >= since && gone !== undefined ? [gone - told] : []));
  }

  #of(namespaces: readonly string[]): readonly Moments[] {
    return [...this.#moments].flatMap(([key, moments]) => (namespaces.includes(key.split('/')[0] ?? '') ? [moments] : []));
  }

  #note({ type, object: pod }: WatchEvent<Pod>): void {
    if (type === 'BOOKMARK' || type === 'ERROR') return;
    const now = performance.now();
    const key = `${pod.metadata.namespace}/${pod.metadata.name}/${pod.metadata.uid}`;
    const moments = this.#moments.get(key) ?? { seen: now };
    this.#moments.set(key, moments);
    if (isReady(pod)) moments.ready ??= now;
    if (pod.metadata.deletionTimestamp !== undefined) moments.told ??= now;
    if (type === 'DELETED') moments.gone ??= now;
  }
}

/** Middle and tail of some durations in milliseconds, as seconds. */
export function renderTimes(milliseconds: readonly number[]): string {
  const sorted = [...milliseconds].sort((a, b) => a - b);
  const at = (share: number): string => ((sorted[Math.ceil(sorted.length * share) - 1] ?? sorted[0] ?? 0) / 1000).toFixed(2);
  return sorted.length === 0 ? 'none' : `p50 ${at(0.5)} s, p95 ${at(0.95)} s, slowest ${at(1)} s (${sorted.length} pods)`;
}
