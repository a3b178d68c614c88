/** Offloads that are known to break tunnels. What breaks here and now only a test on the wire tells. Pure. */
import { finding, quoted, type Finding } from './finding.ts';

/** The device that carries tunnels. */
export interface OffloadFacts {
  readonly link: string;
  readonly driver: string | undefined;
  /** Names of the features that are on, as the kernel calls them. */
  readonly featuresOn: ReadonlySet<string>;
}

/** A feature that this driver is known to get wrong. */
interface Trouble {
  readonly driver: string;
  readonly feature: string;
  /** In words. */
  readonly what: string;
}

const troubles: readonly Trouble[] = [
  // Reported against every VXLAN overlay on ESXi guests: flannel issue 1279, antrea's `disableTXChecksumOffload`, k3s' and RKE2's known issues.
  { driver: 'vmxnet3', feature: 'tx-udp_tnl-segmentation', what: 'hands tunnel packets to the hypervisor, which computes their inner checksums wrong on UDP ports it does not know' },
  { driver: 'vmxnet3', feature: 'tx-udp_tnl-csum-segmentation', what: 'hands tunnel packets to the hypervisor, which computes their inner checksums wrong on UDP ports it does not know' },
];

/** What of it is known to be a trouble. */
export function judgeOffloads({ link, driver, featuresOn }: OffloadFacts): Finding[] {
  return troubles.filter((trouble) => trouble.driver === driver && featuresOn.has(trouble.feature)).map(({ feature, what }) => finding('offload-trouble', {
    subject: link, what: `${link} has the driver ${driver}, which with ${feature} ${what}`,
    fix: `where connections between nodes hang: ethtool -K ${quoted(link)} ${feature} off`, show: `ethtool -k ${quoted(link)}`,
  }));
}
