/**
 * Uninstalling, without leaving a pod that cannot be deleted. A runtime calls DEL for a pod only while it has the conflist (containerd
 * stops no sandbox without a network: "cni plugin not initialized"), and only through the launcher. So both stay until no endpoint is
 * left; then the conflist goes, the first of all, and what it names after it.
 */
import { isJsonObject } from '../cni/json-value.ts';
import { pause } from '../sys/timer.ts';
import type { NodeFilesystem } from './files.ts';
import { readRecord } from './install.ts';
import { isNetworkFile, places, recordName } from './layout.ts';

const recordPath = `${places.stateDirectory}/${recordName}`;
/** In front of the name of a conflist that is set aside. Runtimes do not read it. */
const asidePrefix = '.weft-uninstall.';
const pollMsDefault = 1000;

/** What uninstalling is told, and whom it asks and tells. */
export interface UninstallOptions {
  readonly files: NodeFilesystem;
  /** Names of the endpoints on the node. @throws WeftError where that cannot be known */
  readonly endpoints: () => Promise<readonly string[]>;
  /** How long to wait for the last endpoint to go, in milliseconds. */
  readonly waitMs: number;
  /** How long there must have been none before anything goes, in milliseconds: a runtime calls DEL once more when it removes a pod that it has stopped. */
  readonly lingerMs: number;
  /** Told of each step when it has been done. */
  readonly onStep: (done: string) => void;
  /** From one look to the next. An ADD that had begun when the conflist was set aside is in the ledger two looks later. @default 1000 */
  readonly pollMs?: number;
}

/** What came of it. */
export type UninstallOutcome =
  | { readonly kind: 'done'; readonly kept: readonly string[] }
  /** Nothing of `weft install` is on record. */
  | { readonly kind: 'nothing' }
  /** Endpoints are left, and everything that their removal needs. */
  | { readonly kind: 'waiting'; readonly endpoints: readonly string[] };

/** Removes what `weft install` has put on the node, once no endpoint is left. Run again after whatever has interrupted it, it finishes. */
export async function uninstall(options: UninstallOptions): Promise<UninstallOutcome> {
  const { files, endpoints, waitMs, onStep, pollMs = pollMsDefault } = options;
  if (readRecord(files).size === 0) return { kind: 'nothing' };
  const deadline = performance.now() + waitMs;
  const say = onChange(onStep);
  for (let emptySince: number | undefined; ; await pause(pollMs)) {
    const left = await endpoints();
    const now = performance.now();
    emptySince = left.length > 0 ? undefined : (emptySince ?? now);
    if (emptySince !== undefined && now - emptySince >= options.lingerMs) {
      setAside(files, onStep);
      await pause(2 * pollMs);
      if ((await endpoints()).length === 0) return { kind: 'done', kept: removeAll(options) };
      emptySince = undefined;
    }
    // Also what an earlier run that was killed has set aside.
    putBack(files, onStep);
    if (emptySince === undefined && now >= deadline) return { kind: 'waiting', endpoints: await endpoints() };
    say(left.length > 0 ? `waiting for ${left.length} endpoint(s) to be deleted` : 'no endpoint is left: waiting for what the runtime has still to say of them');
  }
}

/** Passes on what differs from the last. */
function onChange(onStep: UninstallOptions['onStep']): UninstallOptions['onStep'] {
  let last = '';
  return (words) => {
    if (words !== last) onStep(words);
    last = words;
  };
}

/** Conflists of weft's own, by whatever name: one would call a launcher that is about to go. */
function setAside(files: NodeFilesystem, onStep: UninstallOptions['onStep']): void {
  for (const name of files.list(places.networkDirectory).filter(isNetworkFile)) {
    const path = `${places.networkDirectory}/${name}`;
    if (!isOfWeft(files.readText(path) ?? '')) continue;
    files.rename(path, `${asidePrefix}${name}`);
    onStep(`took ${path} from the runtime's sight`);
  }
}

function putBack(files: NodeFilesystem, onStep: UninstallOptions['onStep']): void {
  for (const name of files.list(places.networkDirectory).filter((candidate) => candidate.startsWith(asidePrefix))) {
    files.rename(`${places.networkDirectory}/${name}`, name.slice(asidePrefix.length));
    onStep(`put ${places.networkDirectory}/${name.slice(asidePrefix.length)} back: an endpoint is there`);
  }
}

/** Whether a network configuration has a plugin of type weft. */
export function isOfWeft(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    if (!isJsonObject(value)) return false;
    const plugins: readonly unknown[] = Array.isArray(value['plugins']) ? value['plugins'] : [value];
    return plugins.some((plugin) => isJsonObject(plugin) && plugin['type'] === 'weft');
  } catch {
    return false;
  }
}

/** The launcher before the executable that it executes; the record last, for whoever has to go on. @returns what was left alone */
function removeAll({ files, onStep }: UninstallOptions): readonly string[] {
  const record = readRecord(files);
  const kept: string[] = [];
  for (const path of [places.launcher, places.executable, places.nodeConf]) {
    const state = files.stateOf(path);
    if (state.kind === 'absent' || !record.has(path)) continue;
    if (state.kind !== 'file' || record.get(path)?.includes(state.digest) !== true) {
      kept.push(path);
      continue;
    }
    files.remove(path);
    onStep(`removed ${path}`);
  }
  for (const name of files.list(places.networkDirectory).filter((candidate) => candidate.startsWith(asidePrefix))) {
    files.remove(`${places.networkDirectory}/${name}`);
    onStep(`removed ${places.networkDirectory}/${name.slice(asidePrefix.length)}`);
  }
  files.remove(recordPath);
  onStep(`removed ${recordPath}`);
  return kept;
}
