/** Configuration is refused before it is on the node: there, every ADD would be. Pure. */
import { isJsonObject, type JsonObject } from '../cni/json-value.ts';
import { noEndpointArgs } from '../config/endpoint-args.ts';
import { parseNetConf } from '../config/net-conf.ts';
import type { NodeConf } from '../config/node-model.ts';
import { readPluginConf } from '../config/plugin-conf.ts';
import { WeftError } from '../errors/weft-error.ts';

/** What a conflist is about. */
export interface CheckedConfList {
  /** Types of the chained plugins other than weft, for which the runtime needs executables too. */
  readonly chained: readonly string[];
}

/**
 * Looks through a conflist as libcni does (SPEC.md 1.1.0, "Section 1"), and through weft's part as the plugin does.
 *
 * @param source its name, for messages
 * @throws WeftError invalidConfiguration, unsupportedField
 */
export function checkConfList(text: string, source: string, node: NodeConf): CheckedConfList {
  const list = decode(text, source);
  const plugins = list['plugins'];
  if (typeof list['cniVersion'] !== 'string') throw invalid(source, 'cniVersion must be a string: runtimes refuse the list without it');
  if (!Array.isArray(plugins) || !plugins.every(isJsonObject)) throw invalid(source, 'plugins must be a list of objects');
  const types = plugins.map(({ type }) => type);
  if (!types.every((type) => typeof type === 'string')) throw invalid(source, 'every plugin must have a type');
  if (!types.includes('weft')) throw invalid(source, `plugins must have one of type weft: there are ${types.join(', ') || 'none'}`);
  for (const plugin of plugins.filter(({ type }) => type === 'weft')) checkPlugin({ ...plugin, name: list['name'], cniVersion: list['cniVersion'] }, source, node);
  return { chained: types.filter((type) => type !== 'weft') };
}

function checkPlugin(plugin: JsonObject, source: string, node: NodeConf): void {
  try {
    const { tenant } = readPluginConf(plugin);
    // Without a tenant in it the pod's namespace decides, and there is no pod yet.
    const isChosenByNamespace = tenant === undefined && node.tenants.some(({ namespaces }) => namespaces !== undefined);
    if (!isChosenByNamespace) parseNetConf(plugin, { node, args: noEndpointArgs });
  } catch (error) {
    if (!(error instanceof WeftError)) throw error;
    throw new WeftError(error.code, `${source}: ${error.message}`, { details: error.details, cause: error.cause });
  }
}

function decode(text: string, source: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new WeftError('invalidConfiguration', `${source} is not JSON`, { cause: error });
  }
  if (!isJsonObject(value)) throw invalid(source, 'it must be a JSON object');
  return value;
}

function invalid(source: string, words: string): WeftError {
  return new WeftError('invalidConfiguration', `${source}: ${words}`);
}
