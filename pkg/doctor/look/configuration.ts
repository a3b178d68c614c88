/** Looks at the files that say what is to be on the node, and at the programs that do it. */
import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { promisify } from 'node:util';
import { planSegment, vtepFamilyOf } from '../../attachment/segment-plan.ts';
import type { NetConf } from '../../config/net-conf.ts';
import { emptyNodeConf, type NodeConf } from '../../config/node-model.ts';
import { findUnderlay, type Underlay } from '../../datapath/underlay.ts';
import { describeWithAdvice } from '../../errors/weft-error.ts';
import { contentOf, type NodeState } from '../../report/node-state.ts';
import type { ConfigurationFacts, ProgramFile } from '../configuration.ts';
import { readNetworks } from './networks.ts';
import type { Surroundings } from './surroundings.ts';

/** `--version` takes a program some 50 ms; one that hangs is not waited for. */
const versionMs = 3000;

/** The configuration of the node; undefined where it is invalid. */
export function confOf({ configuration }: NodeState): NodeConf | undefined {
  if (configuration.kind === 'invalid') return undefined;
  return configuration.kind === 'valid' ? configuration.conf : emptyNodeConf;
}

/** What is known of the files and programs. @throws NetlinkError */
export async function lookAtConfiguration(surroundings: Surroundings): Promise<ConfigurationFacts> {
  const { node, networkDirectory, launcher, executable, version } = surroundings;
  const networks = readNetworks(networkDirectory, confOf(node));
  return {
    nodeConfiguration: { path: node.configurationPath, problem: node.configuration.kind === 'invalid' ? node.configuration.problem : undefined },
    planProblems: networks.flatMap(({ confs }) => confs).flatMap((conf) => planProblemOf(surroundings, conf)),
    networks: { directory: networkDirectory, files: networks.map(({ file }) => file) },
    launcher: lookAtProgram(launcher),
    executable: await withVersion(lookAtProgram(executable)),
    version,
  };
}

/** Of a tenant that is attached here the ledger says where its tunnel ends. */
function planProblemOf({ kernel, node }: Surroundings, conf: NetConf): ConfigurationFacts['planProblems'] {
  if (contentOf(node).segments.some(({ segment }) => segment.tenant === conf.tenant)) return [];
  let underlay: Underlay;
  try {
    underlay = findUnderlay(kernel.route, conf.vtep, vtepFamilyOf(conf));
  } catch (error) {
    return [{ network: conf.network, problem: describeWithAdvice(error), isVtepUnknown: true }];
  }
  try {
    planSegment(conf, underlay);
    return [];
  } catch (error) {
    return [{ network: conf.network, problem: describeWithAdvice(error), isVtepUnknown: false }];
  }
}

function lookAtProgram(path: string): ProgramFile {
  try {
    accessSync(path, constants.X_OK);
    return { path, obstacle: undefined };
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    return { path, obstacle: isMissing ? 'is not there' : 'cannot be executed' };
  }
}

/** Without CNI_COMMAND it is the command line that answers. */
async function withVersion(program: ProgramFile): Promise<ProgramFile> {
  if (program.obstacle !== undefined) return program;
  try {
    const { stdout } = await promisify(execFile)(program.path, ['--version'], { timeout: versionMs, env: {} });
    return { ...program, version: stdout.trim() };
  } catch {
    return { ...program, obstacle: 'does not tell its version: it is damaged, or another program' };
  }
}
