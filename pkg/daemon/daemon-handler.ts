/** What a daemon is asked: CNI calls, questions, commands, and to make way for a newer one. */
import { describeWithAdvice } from '../errors/weft-error.ts';
import type { Request } from '../protocol/protocol.ts';
import type { DaemonStatus } from '../report/daemon-status.ts';
import type { Calls } from './calls.ts';
import type { Answer, Refusal, RequestHandler } from './connection.ts';

export interface DaemonHandlerParts {
  readonly calls: Calls;
  readonly status: () => DaemonStatus;
  /** Does what an operator says; @throws WeftError where it cannot be done. */
  readonly command: (body: unknown) => Promise<object>;
  /** Does what of it cannot wait, before. Whatever is wrong with it, `command` says. */
  readonly hasten: (body: unknown) => void;
  /** A call goes back to its caller, who does it without the daemon. */
  readonly onDeclined?: (reason: Refusal['reason']) => void;
  /** Makes way; what is under way is finished. */
  readonly retire: () => void;
}

const unknownQuestionStatus = 2;

/** Tells the kinds of requests apart. */
export class DaemonHandler implements RequestHandler {
  readonly #parts: DaemonHandlerParts;

  constructor(parts: DaemonHandlerParts) {
    this.#parts = parts;
  }

  refuse(request: Request): Refusal | undefined {
    const refusal = request.kind === 'call' ? this.#parts.calls.refuse(request) : undefined;
    if (refusal !== undefined) this.#parts.onDeclined?.(refusal.reason);
    return refusal;
  }

  hasten({ kind, stdin }: Request): void {
    if (kind !== 'command') return;
    try {
      this.#parts.hasten(JSON.parse(stdin));
    } catch {
      // Its answer says what is wrong with it.
    }
  }

  async answer(request: Request, isWanted: () => boolean): Promise<Answer> {
    switch (request.kind) {
      case 'call':
        return this.#parts.calls.answer(request, isWanted);
      case 'question':
        return this.#answerQuestion(request.stdin);
      case 'command':
        return this.#carryOut(request.stdin);
      case 'retire':
        this.#parts.retire();
        return { status: 0, body: '' };
    }
  }

  async #carryOut(text: string): Promise<Answer> {
    try {
      return { status: 0, body: JSON.stringify(await this.#parts.command(JSON.parse(text))) };
    } catch (error) {
      return { status: 1, body: JSON.stringify({ error: describeWithAdvice(error) }) };
    }
  }

  #answerQuestion(question: string): Answer {
    if (question === 'status') return { status: 0, body: JSON.stringify(this.#parts.status()) };
    return { status: unknownQuestionStatus, body: JSON.stringify({ error: 'the question must be "status"' }) };
  }
}
