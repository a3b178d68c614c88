/**
 * Features of a network interface by the kernel's own names (`tx-udp_tnl-segmentation`), as `ethtool -k` lists them. The list is the
 * running kernel's: names and numbers of features differ between versions, so both are asked for and none is known here.
 */
import { controlDevice } from './ethtool-ioctl.ts';

// include/uapi/linux/ethtool.h
const ethtoolGetStrings = 0x1b;
const ethtoolGetStringSetInfo = 0x37;
const ethtoolGetFeatures = 0x3a;
const ethtoolSetFeatures = 0x3b;
/** enum ethtool_stringset: ETH_SS_FEATURES. */
const featureNames = 4;
/** ETH_GSTRING_LEN. */
const stringBytes = 32;
const wordBytes = 4;
const bitsPerWord = 32;

/** One feature of an interface. */
export interface Feature {
  readonly on: boolean;
  /** Whether it can be changed on this device; ethtool(8) calls the others `[fixed]`. */
  readonly changeable: boolean;
  /** What it was last asked to be. Differs from `on` where something that it needs is off. */
  readonly wanted: boolean;
}

/**
 * Features of an interface of the calling thread's namespace by name, in the kernel's order. Needs no privilege.
 * @throws SystemCallError ENODEV where there is no such interface
 */
export function readFeatures(link: string): ReadonlyMap<string, Feature> {
  const names = readNames(link);
  const words = Math.ceil(names.length / bitsPerWord);
  // struct ethtool_gfeatures: cmd, size, and for each 32 features four words: available, requested, active, never_changed.
  const [headerWords, blockWords] = [2, 4];
  const answer = new ArrayBuffer((headerWords + words * blockWords) * wordBytes);
  const view = new Uint32Array(answer);
  view.set([ethtoolGetFeatures, words]);
  controlDevice(link, answer);
  const has = (index: number, field: number): boolean => {
    const word = view[headerWords + Math.floor(index / bitsPerWord) * blockWords + field] ?? 0;
    return (word >>> index % bitsPerWord & 1) === 1;
  };
  const features = names.map((name, index): readonly [string, Feature] => {
    const [available, requested, active, neverChanged] = [0, 1, 2, 3];
    return [name, { on: has(index, active), changeable: has(index, available) && !has(index, neverChanged), wanted: has(index, requested) }];
  });
  return new Map(features.filter(([name]) => name !== ''));
}

/**
 * Asks for a feature to be on or off. The kernel may grant it later, or never, where something that it needs is off, and may switch off others that
 * need it: readFeatures() tells. Equivalent to: `ethtool -K NAME FEATURE on|off`.
 * @throws RangeError where the kernel knows no feature of the name, SystemCallError EPERM without CAP_NET_ADMIN
 */
export function setFeature(link: string, feature: string, on: boolean): void {
  const names = readNames(link);
  const index = names.indexOf(feature);
  if (index < 0) throw new RangeError(`the feature must be one that this kernel has: current value is ${feature}`);
  const words = Math.ceil(names.length / bitsPerWord);
  // struct ethtool_sfeatures: cmd, size, and for each 32 features two words: valid, requested.
  const [headerWords, blockWords] = [2, 2];
  const command = new ArrayBuffer((headerWords + words * blockWords) * wordBytes);
  const view = new Uint32Array(command);
  const bit = 1 << index % bitsPerWord >>> 0;
  const at = headerWords + Math.floor(index / bitsPerWord) * blockWords;
  view.set([ethtoolSetFeatures, words]);
  view.set([bit, on ? bit : 0], at);
  controlDevice(link, command);
}

/** The names of all features, at their numbers; the kernel leaves some empty. */
function readNames(link: string): readonly string[] {
  const count = countNames(link);
  // struct ethtool_gstrings: cmd, string_set, len, and the strings.
  const headerWords = 3;
  const answer = new ArrayBuffer(headerWords * wordBytes + count * stringBytes);
  new Uint32Array(answer, 0, headerWords).set([ethtoolGetStrings, featureNames, count]);
  controlDevice(link, answer);
  const strings = Buffer.from(answer, headerWords * wordBytes);
  return Array.from({ length: count }, (_, index) => readString(strings.subarray(index * stringBytes, (index + 1) * stringBytes)));
}

function readString(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
}

function countNames(link: string): number {
  // struct ethtool_sset_info: cmd, reserved, a 64-bit mask of the sets asked for, and the count of each.
  const answer = new ArrayBuffer(5 * wordBytes);
  const view = new Uint32Array(answer);
  view.set([ethtoolGetStringSetInfo, 0, 1 << featureNames]);
  controlDevice(link, answer);
  return view[4] ?? 0;
}
