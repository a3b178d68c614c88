/** Pieces of questions that devices have cut, put together again. Pure. */
import type { Integrity, Message } from './frame.ts';

type Pieces = Extract<Message, { readonly kind: 'pieces' }>;

interface Collected {
  readonly numbers: Set<number>;
  isAnswered: boolean;
}

/** Questions that are remembered; of more the oldest are forgotten. */
const questionsMax = 64;

/** Remembers what has come of each question; bounded. */
export class PieceCollector {
  readonly #questions = new Map<string, Collected>();

  /** What is to be answered now: once for each question, when all of it has come intact, or with the first piece that has not. */
  take({ from, nonce, integrity, numbers, of }: Pieces): Integrity | undefined {
    const key = `${from} ${nonce.toString('hex')}`;
    const collected = this.#questions.get(key) ?? this.#begin(key);
    if (collected.isAnswered) return undefined;
    if (integrity === 'intact') for (const number of numbers) collected.numbers.add(number);
    if (integrity === 'intact' && collected.numbers.size < of) return undefined;
    collected.isAnswered = true;
    return integrity;
  }

  #begin(key: string): Collected {
    const [oldest] = this.#questions.keys();
    if (this.#questions.size >= questionsMax && oldest !== undefined) this.#questions.delete(oldest);
    const collected = { numbers: new Set<number>(), isAnswered: false };
    this.#questions.set(key, collected);
    return collected;
  }
}
