/**
 * One call of the CNI protocol: environment and stdin in, stdout and exit status out (SPEC.md 1.1.0, "Execution protocol").
 *
 * Everything is checked before the plugin is called: environment, JSON, version, verb, name, prevResult. DEL is the
 * exception, for a DEL that fails keeps a container from ever going away: once its key is known and its
 * configuration is an object, the plugin is given whatever is sound and does what it can.
 */
import { catalogue } from '../errors/catalogue.ts';
import { describeError, WeftError } from '../errors/weft-error.ts';
import { decodeConfiguration, readValidAttachments, requireNetworkName, type ValidAttachment } from './configuration.ts';
import { readEnvironment, type CallEnvironment, type ReadonlyEnv } from './environment.ts';
import { isAbsent, type JsonObject } from './json-value.ts';
import { parseResult, renderResult, type CniResult } from './result.ts';
import { fallbackVersion, isSupportedVersion, newestVersion, requireVerb, requireVersion, supportedVersions, type CniVersion, type Verb } from './versions.ts';

/** The verbs that reach a plugin; VERSION is answered here. */
export type PluginVerb = Exclude<Verb, 'VERSION'>;

export interface CniRequest {
  readonly verb: PluginVerb;
  /** Empty for GC and STATUS. */
  readonly containerId: string;
  /** Path of the container's network namespace; empty for GC and STATUS, and for a DEL whose namespace is gone. */
  readonly netns: string;
  /** Empty for GC and STATUS. */
  readonly ifName: string;
  readonly args: ReadonlyMap<string, string>;
  /** Directories in which delegated plugins are looked for, in order. */
  readonly path: readonly string[];
  /** The network configuration; only the specification's own fields are checked, and for DEL not even those. */
  readonly conf: JsonObject;
  /** The version the answer is given in; for a DEL whose configuration has none that weft speaks, 1.0.0. */
  readonly cniVersion: CniVersion;
  /** The call's whole environment, for delegated plugins. */
  readonly env: ReadonlyEnv;
  /** What the plugins before this one, or the ADD before this CHECK or DEL, returned. Always there for CHECK. */
  readonly prevResult?: CniResult;
  /** What GC must keep. Always there for GC, and only there. */
  readonly validAttachments?: readonly ValidAttachment[];
}

/** What the verbs do. They throw WeftError for the user; anything else thrown is reported as weft's own fault. */
export interface CniPlugin {
  add(request: CniRequest): Promise<CniResult>;
  del(request: CniRequest): Promise<void>;
  check(request: CniRequest): Promise<void>;
  gc(request: CniRequest): Promise<void>;
  status(request: CniRequest): Promise<void>;
}

/** A call as the runtime made it. */
export interface CniCall {
  readonly env: ReadonlyEnv;
  readonly stdin: string;
}

export interface CniAnswer {
  /** Everything that may be printed on stdout: a result, a CNI error object, or nothing. */
  readonly stdout: string;
  readonly exitCode: number;
  /** What was thrown, for the log. */
  readonly error?: unknown;
}

/** Runs one call and never throws: every failure becomes a CNI error object and exit status 1. */
export async function dispatch(call: CniCall, plugin: CniPlugin): Promise<CniAnswer> {
  try {
    return { stdout: await answer(call, plugin), exitCode: 0 };
  } catch (error) {
    return { stdout: renderError(error, errorVersion(call.stdin)), exitCode: 1, error };
  }
}

async function answer(call: CniCall, plugin: CniPlugin): Promise<string> {
  const environment = readEnvironment(call.env);
  const { verb } = environment;
  if (verb === 'VERSION') return renderVersion(call.stdin);
  const parameters = { ...environment, verb, env: call.env };
  const conf = decodeConfiguration(call.stdin);
  const request = verb === 'DEL' ? readLeniently(parameters, conf) : readStrictly(parameters, conf);
  return callPlugin(plugin, request);
}

async function callPlugin(plugin: CniPlugin, request: CniRequest): Promise<string> {
  switch (request.verb) {
    case 'ADD':
      return renderLine(renderResult(await plugin.add(request), request.cniVersion));
    case 'DEL':
      await plugin.del(request);
      return '';
    case 'CHECK':
      await plugin.check(request);
      return '';
    case 'GC':
      await plugin.gc(request);
      return '';
    case 'STATUS':
      await plugin.status(request);
      return '';
  }
}

type Parameters = CallEnvironment & Pick<CniRequest, 'verb' | 'env'>;

function readStrictly(parameters: Parameters, conf: JsonObject): CniRequest {
  const { verb } = parameters;
  const cniVersion = requireVersion(conf['cniVersion']);
  requireVerb(cniVersion, verb);
  requireNetworkName(conf['name']);
  const request = { ...parameters, conf, cniVersion };
  if (verb === 'STATUS') return request;
  if (verb === 'GC') return { ...request, validAttachments: readValidAttachments(conf) };
  if (!isAbsent(conf['prevResult'])) return { ...request, prevResult: parseResult(conf['prevResult']) };
  if (verb === 'CHECK') throw new WeftError('invalidConfiguration', 'prevResult must hold what ADD returned: it is missing, and CHECK compares with it');
  return request;
}

function readLeniently(parameters: Parameters, conf: JsonObject): CniRequest {
  const cniVersion = isSupportedVersion(conf['cniVersion']) ? conf['cniVersion'] : fallbackVersion;
  const prevResult = findResult(conf['prevResult']);
  return { ...parameters, conf, cniVersion, ...(prevResult === undefined ? {} : { prevResult }) };
}

function findResult(value: unknown): CniResult | undefined {
  // Most DELs come without, and an exception costs more than the rest of the reading.
  if (isAbsent(value)) return undefined;
  try {
    return parseResult(value);
  } catch {
    return undefined;
  }
}

function findConfiguration(stdin: string): JsonObject {
  try {
    return decodeConfiguration(stdin);
  } catch {
    return {};
  }
}

/** VERSION answers in the version it was asked in, be it one weft speaks or not (SPEC.md 1.1.0, "VERSION"). */
function renderVersion(stdin: string): string {
  const { cniVersion } = findConfiguration(stdin);
  const isVersion = typeof cniVersion === 'string' && /^[0-9]{1,9}(\.[0-9]{1,9}){2}$/.test(cniVersion);
  return renderLine({ cniVersion: isVersion ? cniVersion : newestVersion, supportedVersions });
}

function errorVersion(stdin: string): CniVersion {
  const { cniVersion } = findConfiguration(stdin);
  return isSupportedVersion(cniVersion) ? cniVersion : fallbackVersion;
}

/** SPEC.md 1.1.0, "Error". */
function renderError(error: unknown, cniVersion: CniVersion): string {
  if (!(error instanceof WeftError)) return renderLine({ cniVersion, code: catalogue.internal.cniCode, msg: describeError(error) });
  const details = error.details === '' ? {} : { details: error.details };
  return renderLine({ cniVersion, code: error.cniCode, msg: error.message, ...details });
}

function renderLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}
