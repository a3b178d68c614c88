/** What `weft install` and `weft uninstall` do: the real node, and the configuration, given to pkg/install. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isSea } from 'node:sea';
import { parseNodeConf } from '../../pkg/config/node-conf.ts';
import { WeftError } from '../../pkg/errors/weft-error.ts';
import { checkConfList } from '../../pkg/install/check-conf.ts';
import { digestOfFile, digestOfText, NodeFilesystem } from '../../pkg/install/files.ts';
import { install, lookAndPlan } from '../../pkg/install/install.ts';
import { confListPath, places as installed } from '../../pkg/install/layout.ts';
import { exclusively } from '../../pkg/install/lock.ts';
import type { InstallChoices, InstallPlan, WantedFile } from '../../pkg/install/plan.ts';
import { uninstall, type UninstallOutcome } from '../../pkg/install/uninstall.ts';
import { contentOf } from '../../pkg/report/node-state.ts';
import type { InstallFlags, UninstallFlags } from './install.ts';
import { observeNode } from './node-view.ts';
import { printNote, reportFailures } from './output.ts';
import { findPlaces } from './places.ts';

/** A secret may be in the node configuration; and of a conflist, hardening guides want the same. */
const configurationMode = 0o600;
const executableMode = 0o755;

/** Puts weft on a node. */
export async function installNode(flags: InstallFlags): Promise<void> {
  await reportFailures(async () => {
    const files = new NodeFilesystem(flags.hostRoot);
    const { wanted, chained } = wantedFiles(flags);
    const choices: InstallChoices = { overwrite: flags.overwrite === true, besideOthers: flags.besideOthers === true };
    const plan = await exclusively(files.locate('/'), async () => (flags.dryRun === true ? lookAndPlan({ files, wanted, choices }) : install({ files, wanted, choices, onStep: say })));
    for (const note of [...plan.notes, ...missingPlugins(files, chained)]) printNote(note);
    if (flags.dryRun === true) return sayPlan(plan);
    say(plan.changes.length === 0 ? 'weft is installed: everything was in place' : `weft is installed: ${plan.changes.map(({ path }) => path).join(', ')}`);
  });
}

/** In the order in which they are replaced: what a file needs is there before it. */
function wantedFiles({ config, conflist, conflistName, launcher }: InstallFlags): { readonly wanted: readonly WantedFile[]; readonly chained: readonly string[] } {
  const [nodeText, listText] = [readSource(config), readSource(conflist)];
  const { chained } = checkConfList(listText, conflist, parseNodeConf(nodeText, config));
  if (!isSea()) throw new WeftError('invalidConfiguration', 'weft install puts the executable that runs it in place, and this is none: run dist/weft (make build)');
  const wanted = [
    programFile(installed.executable, process.execPath),
    programFile(installed.launcher, resolve(launcher)),
    textFile(installed.nodeConf, nodeText),
    textFile(confListPath(conflistName), listText),
  ];
  return { wanted, chained };
}

function programFile(path: string, from: string): WantedFile {
  return { path, mode: executableMode, digest: sourceFailure(from, () => digestOfFile(from)), content: { kind: 'copy', from }, isConfiguration: false };
}

function textFile(path: string, text: string): WantedFile {
  return { path, mode: configurationMode, digest: digestOfText(text), content: { kind: 'text', text }, isConfiguration: true };
}

function readSource(path: string): string {
  return sourceFailure(path, () => readFileSync(path, 'utf8'));
}

function sourceFailure<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new WeftError('ioFailure', `Cannot read ${path}, which is to be installed`, { cause });
  }
}

/** Runtimes have other directories too, so this is no reason to refuse. */
function missingPlugins(files: NodeFilesystem, chained: readonly string[]): readonly string[] {
  const present = files.list('/opt/cni/bin');
  return chained.filter((type) => !present.includes(type)).map((type) => `the conflist chains the plugin ${type}, which is not in /opt/cni/bin: pods need it`);
}

function sayPlan({ problems, changes }: InstallPlan): void {
  for (const problem of problems) printNote(problem);
  for (const { path } of changes) say(`would replace ${path}`);
  if (problems.length > 0) process.exitCode = 1;
  else if (changes.length === 0) say('everything is in place');
}

/** Takes weft from a node. */
export async function uninstallNode({ hostRoot, wait, linger }: UninstallFlags): Promise<void> {
  await reportFailures(async () => {
    const files = new NodeFilesystem(hostRoot);
    const outcome = await exclusively(files.locate('/'), () => uninstall({ files, endpoints: () => endpointsOf(hostRoot), waitMs: wait * 1000, lingerMs: linger * 1000, onStep: say }));
    sayOutcome(outcome);
  });
}

/** @throws WeftError where the ledger cannot be read: then nobody knows, and nothing may be removed */
async function endpointsOf(hostRoot: string): Promise<readonly string[]> {
  const own = findPlaces();
  const node = await observeNode(resolve(hostRoot) === '/' ? own : { ...own, stateDirectory: join(hostRoot, installed.stateDirectory) });
  if (node.ledger.kind === 'unreadable') throw new WeftError('ledgerDamaged', `Nothing is removed, for what is attached here is not known: ${node.ledger.problem}`);
  return contentOf(node).attachments.map(({ key }) => `${key.containerId}/${key.ifName}`);
}

function sayOutcome(outcome: UninstallOutcome): void {
  if (outcome.kind === 'nothing') return say('weft install has put nothing on this node, or it is gone already');
  if (outcome.kind === 'done') {
    for (const path of outcome.kept) printNote(`${path} is not what weft install has put there, and stays`);
    return say(`weft is uninstalled; the ledger stays in ${installed.stateDirectory}`);
  }
  const { endpoints } = outcome;
  const [shown, more] = [endpoints.slice(0, 10).join(', '), endpoints.length > 10 ? ` and ${endpoints.length - 10} more` : ''];
  printNote(`nothing was removed: ${endpoints.length} endpoint(s) are left on this node: ${shown}${more}; delete their pods, keep new ones away (kubectl cordon), and run it again, or with --wait. DELs that weft status says are written down are done by the daemon`);
  process.exitCode = 1;
}

function say(words: string): void {
  process.stdout.write(`${words}\n`);
}
