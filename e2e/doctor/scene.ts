/** Asking the doctor on a node of the lab, and trying the commands that it names. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { inNetns } from '../../pkg/testing/command.ts';
import { placesOf, runWeft } from '../command-line/run-weft.ts';
import type { LabNode } from '../harness/lab-node.ts';
import type { NetConf } from '../harness/net-conf.ts';
import { launcherExecutable, weftExecutable } from '../harness/weft-executable.ts';

/** A finding as `weft doctor -o json` has it. */
export interface ShownFinding {
  readonly id: string;
  readonly severity: 'error' | 'warning' | 'note';
  readonly layer: string;
  readonly subject: string;
  readonly what: string;
  readonly why: string;
  readonly fix: string;
  readonly show: string;
}

/** What was answered. */
export interface Diagnosis {
  readonly exitCode: number;
  readonly stderr: string;
  readonly findings: readonly ShownFinding[];
  readonly checks: readonly { readonly layer: string; readonly outcome: string; readonly ms: number }[];
  readonly ms: number;
}

/** Where a node's runtime would have its networks: a directory of the node's own. */
export function networksOf({ stateDirectory }: LabNode): string {
  const directory = resolve(stateDirectory, '../net.d');
  mkdirSync(directory, { recursive: true });
  return directory;
}

/** Writes a network as administrators do; the name decides the order. @returns its path */
export function writeNetwork(node: LabNode, file: string, conf: NetConf): string {
  const { name, cniVersion, ...plugin } = conf;
  const path = join(networksOf(node), file);
  writeFileSync(path, JSON.stringify({ name, cniVersion, plugins: [plugin] }));
  return path;
}

/** The arguments that lead the doctor to this node's own files. */
export function doctorArguments(node: LabNode, launcher: string = launcherExecutable): readonly string[] {
  return ['doctor', '-o', 'json', '--networks', networksOf(node), '--launcher', launcher, '--executable', weftExecutable];
}

/** Asks the doctor. @throws SyntaxError where what it prints is no JSON */
export async function askDoctor(node: LabNode, { launcher }: { readonly launcher?: string } = {}): Promise<Diagnosis> {
  const startedAt = performance.now();
  const { exitCode, stdout, stderr } = await runWeft(node, doctorArguments(node, launcher));
  return { exitCode, stderr, ms: Math.round(performance.now() - startedAt), ...(JSON.parse(stdout) as Pick<Diagnosis, 'findings' | 'checks'>) };
}

/** Asks the doctor behind commands of the shell in a mount namespace that goes with it; $WEFT_STATE_DIR and the like are set. */
export function askDoctorBehind(node: LabNode, commands: string): Diagnosis {
  const { state, run, config } = placesOf(node);
  const env = { PATH: process.env['PATH'] ?? '', WEFT_STATE_DIR: state, WEFT_RUN_DIR: run, WEFT_CONFIG: config };
  const { status, stdout, stderr } = spawnSync('ip', inNetns(node.netns, 'sh', '-eu', '-c', `${commands}\nexec "$@"`, 'sh', weftExecutable, ...doctorArguments(node)), { env, encoding: 'utf8', timeout: 30_000 });
  return { exitCode: status ?? -1, stderr, ms: 0, ...(JSON.parse(stdout) as Pick<Diagnosis, 'findings' | 'checks'>) };
}

/** Runs a finding's command as somebody at the node would. */
export function tryShow(node: LabNode, { show }: Pick<ShownFinding, 'show'>): { readonly exitCode: number; readonly output: string } {
  const { status, stdout, stderr } = spawnSync('ip', inNetns(node.netns, 'sh', '-c', show), { encoding: 'utf8', timeout: 30_000 });
  return { exitCode: status ?? -1, output: `${stdout}${stderr}` };
}

/** The findings that are worth something, for a test that has expected none. */
export function troublesOf({ findings }: Diagnosis): readonly string[] {
  return findings.filter(({ severity }) => severity !== 'note').map(({ id, severity, subject, what }) => `${severity} ${id} ${subject}: ${what}`);
}
