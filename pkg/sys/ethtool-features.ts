/** Features of a network interface by the names that `ethtool -k` shows, by the ioctl that ethtool(8) uses. The calls concern the calling thread's namespace. */
import { closeSocket, controlSocket, memoryAddress, openSocket } from './libc.ts';

// include/uapi/linux/sockios.h, include/uapi/linux/ethtool.h
const siocEthtool = 0x8946;
const command = { getFeatures: 0x3a, setFeatures: 0x3b, getStrings: 0x1b, getStringSetInfo: 0x37 } as const;
const featureStrings = 4;
const nameBytes = 32;
/** struct ifreq: the name, and a union. */
const interfaceNameBytes = 16;
const ifreqBytes = 40;
/** struct ethtool_get_features_block: available, requested, active, never_changed; struct ethtool_set_features_block: valid, requested. */
const getBlockBytes = 16;
const setBlockBytes = 8;

/** What the kernel says of one feature. */
export interface Feature {
  readonly isOn: boolean;
  /** It can be neither turned on nor off. */
  readonly isFixed: boolean;
}

/** The kernel's names of features in the order of their bits; they do not change while it runs. */
let known: readonly string[] | undefined;

/** All features of an interface by name. Equivalent to: `ethtool -k NAME`. @throws SystemCallError, ENODEV where there is no such interface */
export function readFeatures(name: string): ReadonlyMap<string, Feature> {
  return onSocket((fd) => {
    const names = namesOf(fd, name);
    const blocks = Math.ceil(names.length / 32);
    const answer = ask(fd, name, { command: command.getFeatures, count: blocks, bytes: 8 + blocks * getBlockBytes });
    return new Map(names.map((feature, bit): [string, Feature] => {
      const at = 8 + (bit >> 5) * getBlockBytes;
      const isSet = (word: number): boolean => ((answer.getUint32(at + word * 4, true) >>> (bit & 31)) & 1) === 1;
      return [feature, { isOn: isSet(2), isFixed: !isSet(0) || isSet(3) }];
    }));
  });
}

/**
 * Turns features on or off; what the kernel lacks is passed over. Equivalent to: `ethtool -K NAME FEATURE on|off …`. The kernel takes what it can:
 * whether it has done it is for readFeatures() to say.
 * @throws SystemCallError
 */
export function setFeatures(name: string, features: readonly string[], isOn: boolean): void {
  onSocket((fd) => {
    const names = namesOf(fd, name);
    const blocks = Math.ceil(names.length / 32);
    const bits = features.map((feature) => names.indexOf(feature)).filter((bit) => bit >= 0);
    ask(fd, name, {
      command: command.setFeatures, count: blocks, bytes: 8 + blocks * setBlockBytes,
      fill(request) {
        for (const bit of bits) {
          const at = 8 + (bit >> 5) * setBlockBytes;
          const mask = (1 << (bit & 31)) >>> 0;
          request.setUint32(at, (request.getUint32(at, true) | mask) >>> 0, true);
          if (isOn) request.setUint32(at + 4, (request.getUint32(at + 4, true) | mask) >>> 0, true);
        }
      },
    });
  });
}

interface Question {
  readonly command: number;
  /** The second word. */
  readonly count: number;
  readonly bytes: number;
  readonly fill?: (request: DataView) => void;
}

function ask(fd: number, name: string, { command: number, count, bytes, fill }: Question): DataView {
  const memory = new ArrayBuffer(bytes);
  const view = new DataView(memory);
  view.setUint32(0, number, true);
  view.setUint32(4, count, true);
  fill?.(view);
  const request = Buffer.alloc(ifreqBytes);
  request.write(name, 0, interfaceNameBytes - 1);
  request.writeBigUInt64LE(memoryAddress(memory), interfaceNameBytes);
  controlSocket(fd, siocEthtool, request);
  return view;
}

function namesOf(fd: number, name: string): readonly string[] {
  if (known !== undefined) return known;
  // struct ethtool_sset_info: command, reserved, a 64-bit mask of sets, and a count for each that there is.
  const info = ask(fd, name, { command: command.getStringSetInfo, count: 0, bytes: 20, fill: (request) => request.setBigUint64(8, 1n << BigInt(featureStrings), true) });
  const count = info.getUint32(16, true);
  // struct ethtool_gstrings: command, set, count, then the names.
  const strings = ask(fd, name, { command: command.getStrings, count: featureStrings, bytes: 12 + count * nameBytes, fill: (request) => request.setUint32(8, count, true) });
  const text = Buffer.from(strings.buffer, 12);
  known = Array.from({ length: count }, (_, index) => text.toString('latin1', index * nameBytes, (index + 1) * nameBytes).replace(/\0.*$/s, ''));
  return known;
}

function onSocket<T>(work: (fd: number) => T): T {
  const [inet, datagram] = [2, 2];
  const fd = openSocket(inet, datagram, 0);
  try {
    return work(fd);
  } finally {
    closeSocket(fd);
  }
}
