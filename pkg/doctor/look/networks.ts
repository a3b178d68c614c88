/** Reads the directory from which runtimes take their networks. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isJsonObject, type JsonObject } from '../../cni/json-value.ts';
import { parsePossibleNetConfs, type NetConf } from '../../config/net-conf.ts';
import type { NodeConf } from '../../config/node-model.ts';
import { describeError, describeWithAdvice } from '../../errors/weft-error.ts';
import type { NetworkFile } from '../configuration.ts';

/** A file, and the networks of weft that it defines. */
export interface ReadNetwork {
  readonly file: NetworkFile;
  readonly confs: readonly NetConf[];
}

/** Libcni's ConfFiles(): what is named otherwise no runtime reads. */
const suffixes = /\.(conf|conflist|json)$/;

/**
 * All files, by name; none where there is no directory.
 * @param node what the networks are read against; undefined where it is invalid: then nothing is said of what depends on it
 */
export function readNetworks(directory: string, node: NodeConf | undefined): readonly ReadNetwork[] {
  return listNames(directory).map((name) => readNetwork(join(directory, name), node));
}

function listNames(directory: string): readonly string[] {
  try {
    return readdirSync(directory).filter((name) => suffixes.test(name)).sort();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}

function readNetwork(path: string, node: NodeConf | undefined): ReadNetwork {
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
    return readPlugins(path, parseList(text), node);
  } catch (error) {
    return { file: { path, content: { kind: 'unreadable', problem: `${path} cannot be read: ${describeError(error)}`, isOfWeft: /"weft"/.test(text) } }, confs: [] };
  }
}

/** A list of plugins, or a single one as old files have it. */
interface PluginList {
  readonly common: JsonObject;
  readonly plugins: readonly JsonObject[];
}

function parseList(text: string): PluginList {
  const value: unknown = JSON.parse(text);
  if (!isJsonObject(value)) throw new SyntaxError('it must be a JSON object');
  const { plugins } = value;
  if (plugins === undefined) return { common: {}, plugins: [value] };
  if (!Array.isArray(plugins) || !plugins.every(isJsonObject)) throw new SyntaxError('plugins must be a list of JSON objects');
  const common = Object.fromEntries(['name', 'cniVersion'].flatMap((key) => (value[key] === undefined ? [] : [[key, value[key]]])));
  return { common, plugins };
}

function readPlugins(path: string, { common, plugins }: PluginList, node: NodeConf | undefined): ReadNetwork {
  const types = plugins.map(({ type }) => String(type));
  const refusals: string[] = [];
  const confs: NetConf[] = [];
  for (const plugin of plugins) {
    if (plugin['type'] !== 'weft' || node === undefined) continue;
    try {
      confs.push(...parsePossibleNetConfs({ ...common, ...plugin }, node));
    } catch (error) {
      refusals.push(`${path}: ${describeWithAdvice(error)}`);
    }
  }
  return { file: { path, content: { kind: 'read', types, refusals } }, confs };
}
