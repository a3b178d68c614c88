/** The files that say what is to be on the node, and the programs that do it. Pure. */
import { finding, quoted, type Finding } from './finding.ts';

/** One file of the directory from which runtimes take their networks, in the order of its name. */
export interface NetworkFile {
  readonly path: string;
  readonly content:
    /** `isOfWeft`: its text names weft, as far as it can be told. */
    | { readonly kind: 'unreadable'; readonly problem: string; readonly isOfWeft: boolean }
    /** Types of its plugins; why weft refuses those that are its own, in words. */
    | { readonly kind: 'read'; readonly types: readonly string[]; readonly refusals: readonly string[] };
}

/** A program where it should be. */
export interface ProgramFile {
  readonly path: string;
  /** Why it cannot be executed, in words; undefined where it can. */
  readonly obstacle: string | undefined;
  /** What it says of itself; undefined where it was not asked, or says nothing. */
  readonly version?: string;
}

/** What is known of them. */
export interface ConfigurationFacts {
  readonly nodeConfiguration: { readonly path: string; readonly problem: string | undefined };
  /** Why the VTEP of a network cannot be found, or its plan is refused on this node, in words. */
  readonly planProblems: readonly { readonly network: string; readonly problem: string; readonly isVtepUnknown: boolean }[];
  readonly networks: { readonly directory: string; readonly files: readonly NetworkFile[] };
  readonly launcher: ProgramFile;
  readonly executable: ProgramFile;
  /** Of the weft that asks. */
  readonly version: string;
}

/** What is wrong with them. */
export function judgeConfiguration(facts: ConfigurationFacts): Finding[] {
  return [...judgeNodeConfiguration(facts), ...facts.networks.files.flatMap(judgeFile), ...judgeOrder(facts), ...judgePlans(facts), ...judgePrograms(facts)];
}

function judgeNodeConfiguration({ nodeConfiguration: { path, problem } }: ConfigurationFacts): Finding[] {
  return problem === undefined ? [] : [finding('config-invalid', { subject: path, what: problem, show: `cat ${quoted(path)}` })];
}

function judgeFile({ path, content }: NetworkFile): Finding[] {
  if (content.kind === 'read') return content.refusals.map((refusal) => finding('conflist-refused', { subject: path, what: refusal, show: `cat ${quoted(path)}` }));
  const { problem, isOfWeft } = content;
  return [finding('conflist-unreadable', { subject: path, what: problem, show: `cat ${quoted(path)}`, ...(isOfWeft ? {} : { severity: 'warning' as const }) })];
}

/** Libcni's LoadConfList and containerd's max_conf_num take files by name. */
function judgeOrder({ networks: { directory, files } }: ConfigurationFacts): Finding[] {
  const own = files.find((file) => isOfWeft(file));
  const [first] = files;
  const show = `ls ${quoted(directory)}`;
  if (own === undefined) return [finding('conflist-none', { subject: directory, what: `no network configuration in ${directory} is of type weft`, show })];
  if (first === undefined || isOfWeft(first)) return [];
  return [finding('conflist-order', { subject: directory, what: `${first.path} comes before ${own.path}`, show })];
}

function isOfWeft({ content }: NetworkFile): boolean {
  return content.kind === 'read' ? content.types.includes('weft') : content.isOfWeft;
}

function judgePlans({ planProblems }: ConfigurationFacts): Finding[] {
  return planProblems.map(({ network, problem, isVtepUnknown }) => (isVtepUnknown
    ? finding('vtep-unknown', { subject: `network ${network}`, what: problem, show: 'ip address show; ip route show default' })
    : finding('conflist-refused', { subject: `network ${network}`, what: problem, show: 'ip link show' })));
}

function judgePrograms({ launcher, executable, version, networks }: ConfigurationFacts): Finding[] {
  const findings: Finding[] = [];
  // A node without a network of weft need not have the plugin; and nobody is told twice of what is not installed at all.
  const isExpected = networks.files.some(isOfWeft);
  if (launcher.obstacle !== undefined && isExpected) findings.push(finding('plugin-missing', { subject: launcher.path, what: `the plugin ${launcher.path} ${launcher.obstacle}`, show: `ls -l ${quoted(launcher.path)}` }));
  if (executable.obstacle !== undefined && isExpected) findings.push(finding('executable-missing', { subject: executable.path, what: `the executable ${executable.path} ${executable.obstacle}`, show: `ls -l ${quoted(executable.path)}` }));
  if (executable.version !== undefined && executable.version !== version) {
    findings.push(finding('executable-version', { subject: executable.path, what: `${executable.path} is version ${executable.version}, and this weft ${version}`, show: `${quoted(executable.path)} --version` }));
  }
  return findings;
}
