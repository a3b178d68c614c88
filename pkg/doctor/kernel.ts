/** What the kernel must offer, and what else of it has a say in tenants' packets. Pure. */
import { finding, quoted, type Finding } from './finding.ts';

/** `loadable`: a module that is not loaded yet. `unknown`: nothing says so. */
export type FeatureState = 'present' | 'loadable' | 'absent' | 'unknown';

/** One thing the kernel can be built without. */
export interface KernelFeature {
  /** The module's name. */
  readonly name: string;
  readonly state: FeatureState;
  /** What weft needs it for, in words. */
  readonly purpose: string;
}

/** The directory of the ledger. */
export interface StateDirectory {
  readonly path: string;
  /** Why it cannot be written, in words; undefined where it can. */
  readonly obstacle: string | undefined;
}

/** What is known of the kernel and the places. */
export interface KernelFacts {
  readonly features: readonly KernelFeature[];
  /** Families of nf_tables that this kernel lacks; undefined: it could not be asked. */
  readonly missingFamilies: readonly string[] | undefined;
  /** Sysctls of br_netfilter that are 1: bridge-nf-call-iptables, bridge-nf-call-ip6tables. */
  readonly bridgeCalls: readonly string[];
  /** Chains that drop what is forwarded and no rule of theirs accepts, as nft names them. */
  readonly forwardDrops: readonly string[];
  readonly isIpv6Disabled: boolean;
  /** What has IPv6 addresses here, in words: tenants and VTEPs. */
  readonly ipv6Users: readonly string[];
  readonly state: StateDirectory;
  /** Why the ledger cannot be read, in words; undefined where it can, or where there is none. */
  readonly ledgerProblem: string | undefined;
  readonly ledgerPath: string;
}

/** What is wrong with them. */
export function judgeKernel(facts: KernelFacts): Finding[] {
  return [...facts.features.flatMap(judgeFeature), ...judgeFamilies(facts), ...judgeState(facts), ...judgeBridgeNetfilter(facts), ...judgeIpv6(facts)];
}

function judgeFeature({ name, state, purpose }: KernelFeature): Finding[] {
  const show = `modinfo ${name} || zgrep -i ${name} /proc/config.gz`;
  if (state === 'absent') return [finding('kernel-feature', { subject: name, what: `this kernel has no ${name}, which weft needs for ${purpose}`, show })];
  if (state === 'loadable') return [finding('kernel-module', { subject: name, what: `${name}, which weft needs for ${purpose}, is a module that is not loaded`, show })];
  return [];
}

function judgeFamilies({ missingFamilies = [] }: KernelFacts): Finding[] {
  return missingFamilies.map((family) => finding('kernel-feature', {
    subject: `nf_tables ${family}`, what: `this kernel has no nf_tables of the family ${family}, which the guard needs`,
    fix: `run a kernel with CONFIG_NF_TABLES_${family.toUpperCase()}`, show: `nft list tables ${family}`,
  }));
}

function judgeState({ state, ledgerProblem, ledgerPath }: KernelFacts): Finding[] {
  const unwritable = state.obstacle === undefined ? [] : [finding('state-unwritable', { subject: state.path, what: `the state directory ${state.path} cannot be written: ${state.obstacle}`, show: `findmnt -T ${quoted(state.path)}; ls -ld ${quoted(state.path)}` })];
  // SQLite needs to write beside a ledger to read it (-shm): of one that is on such a file system that is all there is to say.
  const unreadable = ledgerProblem === undefined || state.obstacle !== undefined ? [] : [finding('ledger-unreadable', { subject: ledgerPath, what: `the ledger cannot be read: ${ledgerProblem}`, show: `ls -l ${quoted(ledgerPath)}*` })];
  return [...unwritable, ...unreadable];
}

function judgeBridgeNetfilter({ bridgeCalls, forwardDrops }: KernelFacts): Finding[] {
  if (bridgeCalls.length === 0) return [];
  const names = bridgeCalls.map((name) => `net.bridge.${name}`);
  const on = finding('bridge-netfilter', { subject: 'br_netfilter', what: `br_netfilter is on: ${names.join(' and ')} ${names.length === 1 ? 'is' : 'are'} 1`, show: `sysctl ${names.join(' ')}` });
  return [on, ...forwardDrops.map((chain) => finding('forward-drop', { subject: chain, what: `the chain ${chain} drops what is forwarded and no rule accepts, and br_netfilter shows it what is bridged`, show: `nft list chain ${chain}` }))];
}

function judgeIpv6({ isIpv6Disabled, ipv6Users }: KernelFacts): Finding[] {
  if (!isIpv6Disabled || ipv6Users.length === 0) return [];
  return [finding('ipv6-disabled', { subject: 'IPv6', what: `IPv6 is switched off on this node, and ${ipv6Users.join(', ')} need it`, show: 'sysctl net.ipv6.conf.all.disable_ipv6' })];
}
