/** What can be done about devices that spoil what is left to them: weft's own VXLAN devices leave them less. Pure but for the features of the devices. */
import { readFeatures, setFeature } from '../../sys/ethtool-features.ts';
import { SystemCallError } from '../../sys/libc.ts';

/**
 * By its name what the kernel does by itself from then on, in the VXLAN device and before it puts the tunnel's headers on: cutting alone, or
 * checksums, which without the other cannot be.
 */
export type Remedy = 'segmentation' | 'checksum';

/** The narrowest first. */
export const remedies: readonly Remedy[] = ['segmentation', 'checksum'];

/** Features by the names of net/ethtool/common.c (netdev_features_strings). */
const features: Readonly<Record<Remedy, readonly string[]>> = {
  segmentation: ['tx-tcp-segmentation', 'tx-tcp6-segmentation', 'tx-tcp-ecn-segmentation', 'tx-tcp-mangleid-segmentation', 'tx-tcp-accecn-segmentation', 'tx-udp-segmentation'],
  // With it the kernel turns off what cannot do without (net/core/dev.c, netdev_fix_features), and turns that on again with it.
  checksum: ['tx-checksum-ip-generic'],
};

/** In words, as ethtool(8) names it. */
export const remedyNames: Readonly<Record<Remedy, string>> = { segmentation: 'tx-tcp-segmentation and tx-udp-segmentation', checksum: 'tx-checksum-ip-generic' };

/** Sets and reads the offloads of VXLAN devices of the thread's namespace. */
export interface OffloadDevices {
  /** Turns off what the remedy names, where it is on. Returns whether it was. @throws SystemCallError; Error where the kernel does not do it */
  apply(name: string, remedy: Remedy): boolean;
  /** Turns it on again. @throws SystemCallError */
  revert(name: string, remedy: Remedy): void;
}

/** The kernel's. A device that is gone by now needs nothing. */
export const kernelOffloads: OffloadDevices = {
  apply: (name, remedy) => unlessGone(() => {
    const isAnyOn = (): boolean => {
      const present = readFeatures(name);
      return features[remedy].some((feature) => present.get(feature)?.on === true);
    };
    if (!isAnyOn()) return false;
    setAll(name, remedy, false);
    if (isAnyOn()) throw new Error(`the kernel does not turn off ${remedyNames[remedy]} of ${name}`);
    return true;
  }) ?? false,
  revert: (name, remedy) => unlessGone(() => setAll(name, remedy, true)),
};

/** What this kernel does not have is passed over. */
function setAll(name: string, remedy: Remedy, isOn: boolean): void {
  const present = readFeatures(name);
  for (const feature of features[remedy]) if (present.has(feature)) setFeature(name, feature, isOn);
}

function unlessGone<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof SystemCallError && error.code === 'ENODEV') return undefined;
    throw error;
  }
}
