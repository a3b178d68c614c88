/** Installing: every file is on the disk before the first is replaced, and the conflist, which makes a node ready, is the last. */
import { WeftError } from '../errors/weft-error.ts';
import type { NodeFilesystem, StagedFile } from './files.ts';
import { places, recordName } from './layout.ts';
import { planInstall, type InstallChoices, type InstallPlan, type WantedFile } from './plan.ts';
import { formatRecord, parseRecord, recordAfter, recordDuring, type InstallRecord } from './record.ts';

const recordPath = `${places.stateDirectory}/${recordName}`;
/** It says what weft may overwrite: nobody else needs it. */
const recordMode = 0o600;

/** What an installation is told, and whom it tells. */
export interface InstallOptions {
  readonly files: NodeFilesystem;
  /** In the order in which they are to be replaced. */
  readonly wanted: readonly WantedFile[];
  readonly choices: InstallChoices;
  /** Told of each step when it has been done. */
  readonly onStep: (done: string) => void;
}

/** What weft has put on this node before. */
export function readRecord(files: NodeFilesystem): InstallRecord {
  return parseRecord(files.readText(recordPath) ?? '') ?? new Map();
}

/** Looks and decides; nothing is changed. */
export function lookAndPlan({ files, wanted, choices }: Pick<InstallOptions, 'files' | 'wanted' | 'choices'>): InstallPlan {
  const states = new Map(wanted.map(({ path }) => [path, files.stateOf(path)]));
  return planInstall(wanted, { states, record: readRecord(files), networkFiles: files.list(places.networkDirectory) }, choices);
}

/**
 * Puts the node's files in place. Run again after whatever has interrupted it, it finishes.
 *
 * @returns what it did
 * @throws WeftError invalidConfiguration where something forbids it, with nothing changed; ioFailure: then every file is the old or the new
 */
export function install(options: InstallOptions): InstallPlan {
  const { files, wanted, onStep } = options;
  const plan = lookAndPlan(options);
  if (plan.problems.length > 0) throw new WeftError('invalidConfiguration', plan.problems.join('\n'));
  for (const directory of new Set([recordPath, ...wanted.map(({ path }) => path)].map(directoryOf))) files.sweep(directory);
  const before = readRecord(files);
  const after = formatRecord(recordAfter(before, wanted));
  if (plan.changes.length === 0 && files.readText(recordPath) === after) return plan;
  const staged: StagedFile[] = [];
  try {
    for (const file of plan.changes) {
      staged.push(files.stage(file));
      onStep(`wrote ${file.path} to the disk`);
    }
    const [during, last] = [recordDuring(before, wanted), after].map((text) => files.stage(recordFile(typeof text === 'string' ? text : formatRecord(text))));
    staged.push(...[during, last].filter((file) => file !== undefined));
    if (during !== undefined) files.place(during);
    onStep(`wrote down in ${recordPath} what will be there`);
    for (const file of staged.slice(0, plan.changes.length)) {
      files.place(file);
      onStep(`replaced ${file.path}`);
    }
    if (last !== undefined) files.place(last);
    onStep(`wrote down in ${recordPath} what is there`);
  } catch (error) {
    for (const file of staged) files.discard(file);
    throw error;
  }
  return plan;
}

function recordFile(text: string): Pick<WantedFile, 'path' | 'mode' | 'content'> {
  return { path: recordPath, mode: recordMode, content: { kind: 'text', text } };
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
