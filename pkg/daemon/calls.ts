/**
 * CNI calls as they come over the socket. Calls about one container run one after the other, others beside each other; what the
 * daemon cannot do in the caller's place it sends back to the caller, who then does it itself.
 */
import { dispatch, type CniAnswer, type CniCall, type CniPlugin } from '../cni/dispatch.ts';
import { callerNetnsVariable, targetNetnsVariable, type Request } from '../protocol/protocol.ts';
import { findNetnsId, netnsId, ownNetns } from '../sys/netns.ts';
import type { CallLog } from './call-log.ts';
import type { Answer, Refusal } from './connection.ts';
import { Gate } from './gate.ts';
import { KeyedQueue } from './keyed-queue.ts';
import type { Log } from '../log/log.ts';

/** Calls that are worked on at once; the others wait. Each may hold a delegated plugin's process. */
const concurrencyMax = 64;

/** What calls are done with. */
export interface CallsParts {
  readonly plugin: CniPlugin;
  readonly callLog: CallLog;
  readonly log: Log;
}

/** Does the calls that are for this daemon. */
export class Calls {
  readonly #parts: CallsParts;
  readonly #containers = new KeyedQueue();
  readonly #gate = new Gate(concurrencyMax);
  readonly #ownNetns = netnsId(ownNetns);

  constructor(parts: CallsParts) {
    this.#parts = parts;
  }

  /** Why a call must be done by its caller; undefined where the daemon does it. */
  refuse({ env }: Request): Refusal | undefined {
    const netns = env['CNI_NETNS'] ?? '';
    // A node is a network namespace: a call made in another one means another node.
    if (env[callerNetnsVariable] !== this.#ownNetns) return { reason: 'otherNamespace', words: "the daemon runs in another network namespace than the caller" };
    const target = env[targetNetnsVariable];
    // In a mount or process namespace of its own the daemon may find another thing under the path, or nothing.
    if (target !== undefined && findNetnsId(netns) !== target) return { reason: 'otherNamespace', words: `the daemon does not see the caller's ${netns}` };
    return undefined;
  }

  /** Runs when no call about the container is under way. */
  exclusively<T>(containerId: string, work: () => Promise<T>): Promise<T> {
    return this.#containers.run(containerId, work);
  }

  /** Does a call. @param isWanted whether the caller still waits */
  async answer(request: Request, isWanted: () => boolean): Promise<Answer> {
    const call = callOf(request);
    const key = call.env['CNI_CONTAINERID'] ?? '';
    const turn = (): Promise<CniAnswer> => this.#takeTurn(call, isWanted);
    const answer = await (key === '' ? turn() : this.#containers.run(key, turn));
    return { status: answer.exitCode, body: answer.stdout };
  }

  /**
   * An ADD whose answer nobody gets is taken back: the runtime takes it for failed, and may have lost the container. This
   * happens before the container's next call, which may be another ADD. Other verbs can be called again.
   */
  async #takeTurn(call: CniCall, isWanted: () => boolean): Promise<CniAnswer> {
    const answer = await this.#run(call, async () => (isWanted() ? dispatch(call, this.#parts.plugin) : abandoned));
    if (call.env['CNI_COMMAND'] !== 'ADD' || answer.exitCode !== 0 || isWanted()) return answer;
    this.#parts.log.warn({ code: 'add-abandoned', containerId: call.env['CNI_CONTAINERID'] }, 'nobody waited for the answer to an ADD: it is taken back');
    const undo: CniCall = { ...call, env: { ...call.env, CNI_COMMAND: 'DEL' } };
    await this.#run(undo, () => dispatch(undo, this.#parts.plugin));
    return answer;
  }

  #run(call: CniCall, work: () => Promise<CniAnswer>): Promise<CniAnswer> {
    return this.#parts.callLog.watch(call, () => this.#gate.run(work));
  }
}

/** The answer to a caller that is gone before its turn came: nothing was done. */
const abandoned: CniAnswer = { stdout: '', exitCode: 1, error: new Error('the caller went away before its turn') };

/** Of the variables a delegated plugin gets what the protocol says of the caller is left out. */
function callOf({ env, stdin }: Request): CniCall {
  const { [callerNetnsVariable]: _caller, [targetNetnsVariable]: _target, ...rest } = env;
  return { env: rest, stdin };
}
