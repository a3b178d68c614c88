/** Being told at once when a bridge learns something at one of its ports, and of nothing else. */
import { attachFilter, bindSocket, closeSocket, int32, openSocket, setSocketOption, SystemCallError } from '../sys/libc.ts';
import { createDatagramReader } from '../sys/datagram.ts';
import { watchReadable, type Watch } from '../sys/wait.ts';
import { encodeEventFilter, fdbEventRules } from './event-filter.ts';

// include/uapi/linux/netlink.h, rtnetlink.h
const afNetlink = 16;
const sockRaw = 3;
const netlinkRoute = 0;
const solNetlink = 270;
const netlinkAddMembership = 1;
const groupNeighbours = 3;
/** sockaddr_nl: family, padding, port id, groups. */
const addressBytes = 12;
/** What has come is not looked at. */
const datagramBytes = 512;
const datagramsPerReading = 8;

/**
 * Calls back when an entry comes to the port of that number, or changes there: soon after, once for several. The socket is of the thread's
 * namespace, and keeps the process alive until the watch is closed. @throws SystemCallError
 */
export function watchFdb(index: number, onChange: () => void): Watch {
  const fd = openEvents(index);
  const read = createDatagramReader({ dataBytes: datagramBytes, count: datagramsPerReading });
  const watch = watchReadable(fd, () => {
    readEmpty(() => read(fd).length);
    onChange();
  });
  let isClosed = false;
  return {
    close() {
      if (isClosed) return;
      isClosed = true;
      watch.close();
      closeSocket(fd);
    },
  };
}

function openEvents(index: number): number {
  const fd = openSocket(afNetlink, sockRaw, netlinkRoute);
  try {
    // Nothing may be queued before the filter is there.
    attachFilter(fd, encodeEventFilter(fdbEventRules(index)));
    const address = Buffer.alloc(addressBytes);
    address.writeUInt16LE(afNetlink, 0);
    bindSocket(fd, address);
    setSocketOption(fd, { level: solNetlink, name: netlinkAddMembership, value: int32(groupNeighbours) });
    return fd;
  } catch (error) {
    closeSocket(fd);
    throw error;
  }
}

/** Events that were lost are events. */
function readEmpty(read: () => number): void {
  for (let isEmpty = false; !isEmpty;) {
    try {
      isEmpty = read() < datagramsPerReading;
    } catch (error) {
      if (!(error instanceof SystemCallError) || error.code !== 'ENOBUFS') throw error;
    }
  }
}
