/** What an installation changes, and what forbids it. Pure: what is on the node in, decisions out. */
import type { InstallRecord } from './record.ts';
import { isNetworkFile, places } from './layout.ts';

/** A file as it shall be on the node. */
export interface WantedFile {
  /** As the node names it. */
  readonly path: string;
  /** Permission bits. */
  readonly mode: number;
  /** SHA-256, in hex. */
  readonly digest: string;
  readonly content: { readonly kind: 'copy'; readonly from: string } | { readonly kind: 'text'; readonly text: string };
  /** Whether people write it: what they have changed is not overwritten. */
  readonly isConfiguration: boolean;
}

/** What stands under a path of the node. A link is not followed: it is replaced, and not what it leads to. */
export type FileState =
  | { readonly kind: 'absent' }
  | { readonly kind: 'file'; readonly digest: string; readonly mode: number }
  | { readonly kind: 'link' }
  | { readonly kind: 'other' };

/** The node as an installer finds it. */
export interface NodeFiles {
  readonly states: ReadonlyMap<string, FileState>;
  readonly record: InstallRecord;
  /** Names in the network directory. */
  readonly networkFiles: readonly string[];
}

/** What an operator has said to the questions that have no good answer by themselves. */
export interface InstallChoices {
  /** Overwrite configuration that weft did not write. */
  readonly overwrite: boolean;
  /** Install although runtimes will use another network. */
  readonly besideOthers: boolean;
}

/** What is to be done; nothing may be where there are problems. */
export interface InstallPlan {
  readonly problems: readonly string[];
  readonly notes: readonly string[];
  /** What differs, in the order in which it is to be replaced: the conflist is the last. */
  readonly changes: readonly WantedFile[];
}

/** Decides over wanted files, which are in the order in which they are to be replaced. */
export function planInstall(wanted: readonly WantedFile[], node: NodeFiles, choices: InstallChoices): InstallPlan {
  const changes = wanted.filter((file) => !isAsWanted(file, stateOf(node, file.path)));
  const confList = wanted.find(({ path }) => path.startsWith(`${places.networkDirectory}/`));
  const rivals = confList === undefined ? { problems: [], notes: [] } : judgeRivals(confList.path, node.networkFiles, choices);
  const inTheWay = changes.flatMap((file) => judgeTarget(file, node, choices));
  return { problems: [...inTheWay, ...rivals.problems], notes: rivals.notes, changes };
}

function stateOf({ states }: NodeFiles, path: string): FileState {
  return states.get(path) ?? { kind: 'absent' };
}

function isAsWanted({ digest, mode }: WantedFile, state: FileState): boolean {
  return state.kind === 'file' && state.digest === digest && state.mode === mode;
}

function judgeTarget(file: WantedFile, node: NodeFiles, { overwrite }: InstallChoices): readonly string[] {
  const state = stateOf(node, file.path);
  if (state.kind === 'other') return [`${file.path} must be a file: a directory or a device is there; move it away`];
  if (!file.isConfiguration || overwrite || state.kind === 'absent') return [];
  const known = node.record.get(file.path) ?? [];
  if (state.kind === 'file' && (state.digest === file.digest || known.includes(state.digest))) return [];
  return [`${file.path} is not what weft has put there: somebody else wrote it, or changed it since; bring the change into the configuration that is to be installed, or say --overwrite`];
}

/**
 * Runtimes that use one network use the first by name (containerd, max_conf_num = 1; CRI-O without a name for its default).
 * A network of somebody else's in front would leave weft without pods, and nobody would know why.
 */
function judgeRivals(confListPath: string, networkFiles: readonly string[], { besideOthers }: InstallChoices): Pick<InstallPlan, 'problems' | 'notes'> {
  const own = confListPath.slice(places.networkDirectory.length + 1);
  const others = networkFiles.filter((name) => isNetworkFile(name) && name !== own).sort();
  const notes = others.filter((name) => name > own).map((name) => `${places.networkDirectory}/${name} is another network: runtimes that use one network use ${own}, which comes first`);
  const before = others.filter((name) => name < own);
  const words = before.map((name) => `${places.networkDirectory}/${name} is another network, and comes before ${own}: kubelet's runtime uses the first, and not weft`);
  if (besideOthers) return { problems: [], notes: [...words, ...notes] };
  return { problems: words.map((problem) => `${problem}; uninstall that one, or give weft's a name that comes before it, or say --beside-others`), notes };
}
