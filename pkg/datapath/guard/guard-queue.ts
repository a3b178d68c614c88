/**
 * Elements of several callers that go into the guard, or out of it, in one batch.
 *
 * To begin and to commit a batch costs the kernel as much as a dozen elements do. What is asked for at about the same moment goes together;
 * where the whole is refused each goes alone, so that nobody fails for another one's element.
 */
import type { Kernel } from '../kernel.ts';
import { addGuard, elementsPerBatch, removeGuard } from './guard.ts';
import type { GuardElement } from './guard-elements.ts';

interface Waiting {
  readonly elements: readonly GuardElement[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Additions and removals; those of one moment in any order, so a caller waits for the one before it asks for the other. */
export class GuardQueue {
  readonly #kernel: Pick<Kernel, 'netfilter' | 'company'>;
  readonly #additions: Waiting[] = [];
  readonly #removals: Waiting[] = [];
  #isFlushDue = false;

  constructor(kernel: Pick<Kernel, 'netfilter' | 'company'>) {
    this.#kernel = kernel;
  }

  /** As addGuard(). */
  async add(elements: readonly GuardElement[]): Promise<void> {
    if (this.#kernel.company.isAlone()) addGuard(this.#kernel.netfilter, elements);
    else await this.#queue(this.#additions, elements);
  }

  /** As removeGuard(). */
  async remove(elements: readonly GuardElement[]): Promise<void> {
    if (this.#kernel.company.isAlone()) removeGuard(this.#kernel.netfilter, elements);
    else await this.#queue(this.#removals, elements);
  }

  #queue(queue: Waiting[], elements: readonly GuardElement[]): Promise<void> {
    if (!this.#isFlushDue) void this.#kernel.company.gather().then(() => this.#flush());
    this.#isFlushDue = true;
    return new Promise((resolve, reject) => queue.push({ elements, resolve, reject }));
  }

  #flush(): void {
    this.#isFlushDue = false;
    carryOut(this.#removals.splice(0), (elements) => removeGuard(this.#kernel.netfilter, elements));
    carryOut(this.#additions.splice(0), (elements) => addGuard(this.#kernel.netfilter, elements));
  }
}

function carryOut(queue: readonly Waiting[], commit: (elements: readonly GuardElement[]) => void): void {
  for (const together of groups(queue)) {
    if (!tryTogether(together, commit)) for (const waiting of together) carryOutAlone(waiting, commit);
  }
}

/** At most as many elements as a batch takes. */
function groups(queue: readonly Waiting[]): Waiting[][] {
  const found: Waiting[][] = [];
  let count = elementsPerBatch;
  for (const waiting of queue) {
    if (count + waiting.elements.length > elementsPerBatch) {
      found.push([]);
      count = 0;
    }
    found.at(-1)?.push(waiting);
    count += waiting.elements.length;
  }
  return found;
}

/** Whether all of it was done; where not, nothing was. */
function tryTogether(together: readonly Waiting[], commit: (elements: readonly GuardElement[]) => void): boolean {
  if (together.length < 2) return false;
  try {
    commit(together.flatMap(({ elements }) => elements));
  } catch {
    return false; // Each one's own attempt says why.
  }
  for (const { resolve } of together) resolve();
  return true;
}

function carryOutAlone({ elements, resolve, reject }: Waiting, commit: (elements: readonly GuardElement[]) => void): void {
  try {
    commit(elements);
    resolve();
  } catch (error) {
    reject(error);
  }
}
