/** Waiting for what takes a cluster its time, and saying what was seen last when it does not come. */
import { setTimeout as delay } from 'node:timers/promises';

const pollMs = 250;

export interface Wait<T> {
  /** What is waited for, in words that follow "waited for". */
  readonly what: string;
  readonly deadlineMs: number;
  /** Looks once. */
  readonly look: () => T | Promise<T>;
  readonly isSo: (found: T) => boolean;
}

/** Looks until it is so. @returns what was found then @throws Error with what was found last, or why it could not be looked at */
export async function until<T>({ what, deadlineMs, look, isSo }: Wait<T>): Promise<T> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const seen = await attempt(look);
    if ('found' in seen && isSo(seen.found)) return seen.found;
    if (performance.now() > deadline) throw new Error(`waited ${Math.round(deadlineMs / 1000)} s in vain for ${what}; seen last: ${describe(seen)}`);
    await delay(pollMs);
  }
}

type Seen<T> = { readonly found: T } | { readonly failure: unknown };

async function attempt<T>(look: () => T | Promise<T>): Promise<Seen<T>> {
  try {
    return { found: await look() };
  } catch (failure) {
    return { failure };
  }
}

function describe(seen: Seen<unknown>): string {
  const text = 'found' in seen ? JSON.stringify(seen.found) : String(seen.failure);
  return text === undefined ? 'nothing' : text.slice(0, 2000);
}
