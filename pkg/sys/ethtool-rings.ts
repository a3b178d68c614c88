/** The descriptor rings of a network interface: how many packets the device holds in each direction. */
import { controlDevice } from './ethtool-ioctl.ts';
import { SystemCallError } from './libc.ts';

// include/uapi/linux/ethtool.h
const ethtoolGetRings = 0x10;
const ethtoolSetRings = 0x11;
/** struct ethtool_ringparam: cmd, then the largest of rx, rx_mini, rx_jumbo, tx, then what they are, all u32. */
const ringWords = 9;
const [rxMaxAt, txMaxAt, rxAt, txAt] = [1, 4, 5, 8] as const;

/** One ring's size, in descriptors. */
export interface Ring {
  readonly now: number;
  readonly max: number;
}

/** The rings of a device. */
export interface Rings {
  readonly rx: Ring;
  readonly tx: Ring;
}

/** The rings of an interface of the calling thread's namespace; undefined where it has none, as a device without hardware. @throws SystemCallError */
export function readRings(link: string): Rings | undefined {
  const view = readParameters(link);
  if (view === undefined) return undefined;
  const ring = (now: number, max: number): Ring => ({ now: view[now] ?? 0, max: view[max] ?? 0 });
  const rings = { rx: ring(rxAt, rxMaxAt), tx: ring(txAt, txMaxAt) };
  return rings.rx.max === 0 && rings.tx.max === 0 ? undefined : rings;
}

/** Sets the size of one ring, in descriptors; the others stay. Many devices drop packets for a moment. Equivalent to: `ethtool -G NAME rx|tx COUNT`. @throws SystemCallError */
export function setRing(link: string, ring: keyof Rings, descriptors: number): void {
  const view = readParameters(link);
  if (view === undefined) throw new RangeError(`${link} has no rings`);
  view[0] = ethtoolSetRings;
  view[ring === 'rx' ? rxAt : txAt] = descriptors;
  controlDevice(link, view.buffer);
}

function readParameters(link: string): Uint32Array<ArrayBuffer> | undefined {
  const view = new Uint32Array(new ArrayBuffer(ringWords * Uint32Array.BYTES_PER_ELEMENT));
  view[0] = ethtoolGetRings;
  try {
    controlDevice(link, view.buffer);
    return view;
  } catch (error) {
    if (error instanceof SystemCallError && error.code === 'EOPNOTSUPP') return undefined;
    throw error;
  }
}
