/**
 * Delegation: another plugin, for IPAM, executed as a runtime would execute it (SPEC.md 1.1.0, "Section 4").
 *
 * The plugin gets the call's environment with CNI_COMMAND set to the verb, and the network configuration on stdin. Many
 * IPAM plugins in use are older than the configuration's version (Debian 12's end at 1.0.0). Nothing is asked beforehand,
 * for every process costs milliseconds: only when the plugin refuses is it asked for its VERSION, and then called again
 * in the newest version that both speak. GC and STATUS are skipped where the plugin has no version that knows them.
 */
import { describeError, WeftError, type WeftErrorOptions } from '../errors/weft-error.ts';
import { processExecutor, type DelegateExecutor, type DelegateExit } from './delegate-executor.ts';
import type { CniRequest, PluginVerb } from './dispatch.ts';
import { isJsonObject, showValue, type JsonObject } from './json-value.ts';
import { parseResult, type CniResult } from './result.ts';
import { hasVerb, supportedVersions, type Verb } from './versions.ts';

/** What of a call the delegated plugin is given; `conf` may differ from what weft itself was given. */
export type DelegateRequest = Pick<CniRequest, 'env' | 'path' | 'conf' | 'cniVersion'>;

export interface DelegateOptions {
  /** @default processes of the operating system */
  readonly executor?: DelegateExecutor;
  /** For one verb, all processes it takes together. @default 30000 */
  readonly timeoutMs?: number;
  /** Stops the plugin early. */
  readonly signal?: AbortSignal;
}

/** Well within the two minutes that kubelet gives a whole sandbox (--runtime-request-timeout). */
const timeoutMsDefault = 30_000;

/** Versions that weft can call a plugin in, newest first: its own, and the older ones whose results have the same form. */
const delegateVersions: readonly string[] = ['0.3.0', '0.3.1', ...supportedVersions].reverse();

/** Of what a plugin printed instead of an error object, so much goes into the error's details. */
const detailsCharactersMax = 1000;

/** SPEC.md 1.1.0, "Error": incompatible CNI version. */
const incompatibleVersionCode = 1;

/**
 * Runs ADD of the plugin `type`. When this throws, the plugin may hold an address all the same: the caller's undo is
 * delegateDel.
 *
 * @throws WeftError delegateFailed, with the plugin's own CNI code where it printed an error object
 */
export async function delegateAdd(type: string, request: DelegateRequest, options: DelegateOptions = {}): Promise<CniResult> {
  const target = await findTarget(type, request, options);
  const stdout = await runVerb(target, 'ADD');
  try {
    return parseResult(JSON.parse(stdout), 'result');
  } catch (error) {
    throw failure(target, `must print a CNI result: ${describeError(error)}`, { cause: error });
  }
}

/** Runs DEL of the plugin `type`. @throws WeftError delegateFailed, as delegateAdd */
export async function delegateDel(type: string, request: DelegateRequest, options: DelegateOptions = {}): Promise<void> {
  await runVerb(await findTarget(type, request, options), 'DEL');
}

/** Runs CHECK of the plugin `type`; `request.conf` must have `prevResult`. @throws WeftError delegateFailed, as delegateAdd */
export async function delegateCheck(type: string, request: DelegateRequest, options: DelegateOptions = {}): Promise<void> {
  await runVerb(await findTarget(type, request, options), 'CHECK');
}

/** Runs GC of the plugin `type`, if it is new enough to have one. @throws WeftError delegateFailed, as delegateAdd */
export async function delegateGc(type: string, request: DelegateRequest, options: DelegateOptions = {}): Promise<void> {
  await runVerb(await findTarget(type, request, options), 'GC');
}

/** Runs STATUS of the plugin `type`, if it is new enough to have one. @throws WeftError delegateFailed, as delegateAdd */
export async function delegateStatus(type: string, request: DelegateRequest, options: DelegateOptions = {}): Promise<void> {
  await runVerb(await findTarget(type, request, options), 'STATUS');
}

/** One delegated call: the plugin's executable and what it is given. */
interface Target {
  readonly type: string;
  readonly file: string;
  readonly request: DelegateRequest;
  readonly executor: DelegateExecutor;
  readonly timeoutMs: number;
  /** The deadline of all the call's processes together. */
  readonly deadline: AbortSignal;
  /** The deadline, or the caller's wish to stop. */
  readonly signal: AbortSignal;
}

async function findTarget(type: string, request: DelegateRequest, options: DelegateOptions): Promise<Target> {
  const { executor = processExecutor, timeoutMs = timeoutMsDefault } = options;
  const file = await findExecutable(type, request.path, executor);
  const deadline = AbortSignal.timeout(timeoutMs);
  const signal = options.signal === undefined ? deadline : AbortSignal.any([deadline, options.signal]);
  return { type, file, request, executor, timeoutMs, deadline, signal };
}

async function findExecutable(type: string, path: readonly string[], executor: DelegateExecutor): Promise<string> {
  if (type === '' || type.includes('/') || type.includes('\0')) {
    throw new WeftError('delegateFailed', `the type of a delegated plugin must be the name of a file in CNI_PATH: current value is ${showValue(type)}`);
  }
  for (const directory of path) {
    const file = `${directory}/${type}`;
    if (executor.isExecutable(file)) return file;
  }
  const searched = path.length === 0 ? 'CNI_PATH is empty' : `searched ${path.join(', ')}`;
  throw new WeftError('delegateFailed', `the delegated plugin ${showValue(type)} must be installed in a directory of CNI_PATH: ${searched}`);
}

/** Runs the verb, in an older version if need be, and returns stdout; empty when the plugin is too old to know the verb. */
async function runVerb(target: Target, verb: PluginVerb): Promise<string> {
  const { cniVersion } = target.request;
  const first = await start(target, verb, cniVersion);
  if (first.exitCode === 0) return first.stdout;
  const refusal = readRefusal(target, first);
  const isNewVerb = verb === 'GC' || verb === 'STATUS';
  // A plugin that has never heard of a verb answers with one code or another: Debian 12's host-local with 3 or 4.
  if (!isNewVerb && refusal.cniCode !== incompatibleVersionCode) throw refusal;
  const spoken = await findSpokenVersions(target);
  const fitting = spoken.filter((version) => hasVerb(version, verb));
  if (isNewVerb && spoken.length > 0 && fitting.length === 0) return '';
  const common = delegateVersions.find((version) => fitting.includes(version));
  if (common === undefined || common === cniVersion) throw refusal;
  const second = await start(target, verb, common);
  if (second.exitCode === 0) return second.stdout;
  throw readRefusal(target, second);
}

/** What the plugin says it speaks; empty when it does not say. */
async function findSpokenVersions(target: Target): Promise<readonly string[]> {
  const exit = await start(target, 'VERSION', target.request.cniVersion);
  const versions = findJsonObject(exit.stdout)?.['supportedVersions'];
  return Array.isArray(versions) ? versions.filter((version) => typeof version === 'string') : [];
}

async function start(target: Target, verb: Verb, cniVersion: string): Promise<DelegateExit> {
  const { file, request, signal } = target;
  const stdin = JSON.stringify({ ...request.conf, cniVersion });
  try {
    return await target.executor.run({ file, env: { ...request.env, CNI_COMMAND: verb }, stdin, signal });
  } catch (error) {
    if (target.deadline.aborted) throw failure(target, `did not finish ${verb} within ${target.timeoutMs} ms and was killed`, { cause: error });
    throw failure(target, `could not finish ${verb}: ${describeError(error)}`, { cause: error });
  }
}

/** The error of a plugin that ended with another status than 0: the one it printed, or what is known of its end. */
function readRefusal(target: Target, exit: DelegateExit): WeftError {
  const printed = findJsonObject(exit.stdout);
  if (printed !== undefined && isCode(printed['code'])) return readPrintedError(target, printed, printed['code']);
  const end = exit.exitCode === null ? `was killed by ${exit.killedBy}` : `ended with exit status ${exit.exitCode}`;
  return failure(target, `${end} and printed no CNI error object`, { details: (exit.stderr || exit.stdout).trim().slice(0, detailsCharactersMax) });
}

function readPrintedError(target: Target, printed: JsonObject, cniCode: number): WeftError {
  const message = typeof printed['msg'] === 'string' && printed['msg'] !== '' ? printed['msg'] : `error ${cniCode}`;
  return failure(target, `failed: ${message}`, { cniCode, details: typeof printed['details'] === 'string' ? printed['details'] : '' });
}

function failure(target: Target, what: string, options: WeftErrorOptions): WeftError {
  return new WeftError('delegateFailed', `the delegated plugin ${showValue(target.type)} ${what}`, options);
}

function isCode(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0;
}

function findJsonObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
