/**
 * Containers that went without a DEL: their namespaces are no longer there. They are collected at the second observation, for
 * a runtime that is about to send its DEL should find what it knows.
 */
export const graceMs = 10_000;

/**
 * Where the host interface is still there, something keeps the namespace alive, be it a process that outlived its container
 * or a file system that hides the path from the daemon. The first goes after a longer time, the second never.
 */
const lingeringGraceMs = 60_000;

export interface Absence {
  readonly seq: number;
  readonly hostIf: string;
  /** Whether the host interface is gone as well, and so the kernel itself says that there is no namespace. */
  readonly isPortGone: boolean;
}

/** Remembers which containers were seen to be gone, and since when. */
export class Vanished {
  readonly #now: () => number;
  /** Since when a container has been seen to be gone, by sequence number. */
  readonly #since = new Map<number, { readonly at: number; readonly hostIf: string }>();
  /** Containers whose namespace this process has seen: it can see them. */
  readonly #seen = new Set<number>();

  /** @param now milliseconds of a clock that only goes forward */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The container's namespace is there. */
  noteThere(seq: number): void {
    this.#since.delete(seq);
    this.#seen.add(seq);
  }

  /** It is not; returns whether the container is to be collected. */
  noteGone({ seq, hostIf, isPortGone }: Absence): boolean {
    if (!isPortGone && !this.#seen.has(seq)) return false;
    const first = this.#since.get(seq);
    if (first === undefined) this.#since.set(seq, { at: this.#now(), hostIf });
    return first !== undefined && this.#now() - first.at >= (isPortGone ? graceMs : lingeringGraceMs);
  }

  /** Host interfaces of the containers that must be looked at a second time, by sequence number. */
  get pending(): ReadonlyMap<number, string> {
    return new Map([...this.#since].map(([seq, { hostIf }]) => [seq, hostIf]));
  }

  /** The container's DEL has come after all. */
  forget(seq: number): void {
    this.#since.delete(seq);
    this.#seen.delete(seq);
  }

  /** Forgets attachments that are no longer in the ledger. */
  retain(seqs: ReadonlySet<number>): void {
    for (const seq of [...this.#since.keys(), ...this.#seen]) if (!seqs.has(seq)) this.forget(seq);
  }
}
