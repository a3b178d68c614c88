/**
 * Taking over from a daemon that is running: a newer weft is started, and no call fails.
 *
 * The connection to the old one is made while the name is still its own. Then the new one takes the name, and from then on
 * all callers; then the old one is asked to retire. Both may work at once: they share the ledger as any two processes do.
 */
import { describeError } from '../errors/weft-error.ts';
import type { Log } from '../log/log.ts';
import { exchange } from '../protocol/client.ts';

/** The old one answers as soon as it has understood; its calls may go on for longer. */
const retireDeadlineMs = 5000;

/** Takes the name by `listen`, and has the daemon that had it before make way. @throws what `listen` throws */
export async function retirePredecessor(socketPath: string, log: Log, listen: () => Promise<void>): Promise<void> {
  let listening: Promise<void> | undefined;
  const onConnect = (): Promise<void> => (listening = listen());
  try {
    const reply = await exchange(socketPath, { kind: 'retire', env: {}, stdin: '' }, { deadlineMs: retireDeadlineMs, onConnect });
    if (reply.kind === 'elsewhere') log.warn({ code: 'takeover-refused', error: reply.words }, 'the daemon that was running before does not make way: it gets no more calls, and should be ended');
    if (reply.kind === 'answered') log.info({}, 'the daemon that was running before makes way');
  } catch (error) {
    // What `listen` throws is no fault of the other one.
    await listening;
    if (listening === undefined) log.warn({ code: 'takeover-stranger', error: describeError(error) }, 'what has the name of the socket is no daemon of this weft: it is replaced');
    else log.warn({ code: 'takeover-refused', error: describeError(error) }, 'a daemon that was running before does not make way: it gets no more calls');
  }
  await (listening ?? listen());
}
