/** Being told of a descriptor that can be read, without a thread that waits for it. */
import { koffi } from './koffi.ts';

/** A descriptor that is watched. */
export interface Watch {
  /** Ends it; may be repeated. To be called before the descriptor is closed. */
  close(): void;
}

/**
 * Calls `onReadable` whenever the descriptor can be read or has an error to report, again and again until it has been read
 * empty; other work of the process gets its turn in between. Keeps the process alive until it is closed.
 *
 * Node has no such thing for a socket it did not make: net.Socket refuses netlink, and a poll(2) on a thread of the pool
 * takes one thread of four and holds up process.exit(). So koffi puts the descriptor into Node's own event loop (uv_poll_t).
 */
export function watchReadable(fd: number, onReadable: () => void): Watch {
  let isClosed = false;
  let isAnnounced = false;
  // Of the two arguments koffi passes, its types know the second only: the first is libuv's status.
  const announce = (status: unknown): void => {
    // koffi calls this outside of Node's bookkeeping: promises would not go on, and an exception would be lost. An
    // immediate runs within it, directly behind the events of this turn.
    if (!isAnnounced) setImmediate(attend, status !== 0);
    isAnnounced = true;
  };
  const attend = (isStopped: boolean): void => {
    isAnnounced = false;
    if (isClosed) return;
    // libuv stops watching a descriptor that has an error pending, which for a netlink socket is no more than lost events.
    if (isStopped) handle.start(announce);
    onReadable();
  };
  const handle = koffi().node.poll(fd, announce);
  return {
    close() {
      if (isClosed) return;
      isClosed = true;
      handle.close();
    },
  };
}
