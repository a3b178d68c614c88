/**
 * The parameters of a call that arrive in CNI_* variables (SPEC.md 1.1.0, "Parameters").
 *
 * The requirements are a table, variable by verb. A variable that a verb does not use is not looked at: runtimes fill
 * them with dummies (VERSION comes with CNI_IFNAME=dummy and CNI_NETNS=dummy).
 */
import { WeftError } from '../errors/weft-error.ts';
import { identifierRule, isIdentifier } from './identifier.ts';
import { showValue } from './json-value.ts';
import { verbs, type Verb } from './versions.ts';

export type ReadonlyEnv = Readonly<Record<string, string | undefined>>;

export interface CallEnvironment {
  readonly verb: Verb;
  /** CNI_CONTAINERID; empty for the verbs that have none. */
  readonly containerId: string;
  /** CNI_NETNS, a path; empty where it is not given. */
  readonly netns: string;
  /** CNI_IFNAME; empty for the verbs that have none. */
  readonly ifName: string;
  /** CNI_ARGS by key. */
  readonly args: ReadonlyMap<string, string>;
  /** CNI_PATH, directories in the order of search. */
  readonly path: readonly string[];
}

/** `tolerated`: handed over where it is sound, without a word where it is not. */
type Need = 'required' | 'optional' | 'tolerated' | 'unused';

interface Variable {
  readonly needs: Readonly<Record<Verb, Need>>;
  /** What is wrong with a value that is not empty; undefined when it is sound. */
  readonly findFault: (value: string) => string | undefined;
}

const ofAttachments = { ADD: 'required', DEL: 'required', CHECK: 'required', GC: 'unused', STATUS: 'unused', VERSION: 'unused' } as const;
const ofPlugins = { ADD: 'optional', DEL: 'optional', CHECK: 'optional', GC: 'optional', STATUS: 'optional', VERSION: 'unused' } as const;
const findNoFault = (): undefined => undefined;

const variables = {
  CNI_CONTAINERID: { needs: ofAttachments, findFault: findContainerIdFault },
  CNI_NETNS: { needs: { ...ofAttachments, DEL: 'optional' }, findFault: findNoFault },
  CNI_IFNAME: { needs: ofAttachments, findFault: findIfNameFault },
  // An ADD with malformed arguments was refused, so its DEL has nothing to take from them.
  CNI_ARGS: { needs: { ...ofAttachments, ADD: 'optional', DEL: 'tolerated', CHECK: 'optional' }, findFault: findArgsFault },
  // The specification requires it of every verb. It matters only to the search for a delegated plugin, which says when it is empty.
  CNI_PATH: { needs: ofPlugins, findFault: findNoFault },
} as const satisfies Record<string, Variable>;

type VariableName = keyof typeof variables;
const variableNames = Object.keys(variables) as readonly VariableName[];

/**
 * Reads the CNI_* variables and checks them for the verb.
 *
 * @throws WeftError invalidEnvironment (code 4), one message with every fault
 */
export function readEnvironment(env: ReadonlyEnv): CallEnvironment {
  const verb = requireVerbName(env['CNI_COMMAND']);
  const faults = variableNames.flatMap((name) => findFaults(name, verb, env[name] ?? ''));
  if (faults.length > 0) throw new WeftError('invalidEnvironment', faults.join('; '));
  const valueFor = (name: VariableName): string => (needOf(name, verb) === 'unused' ? '' : (env[name] ?? ''));
  return {
    verb,
    containerId: valueFor('CNI_CONTAINERID'),
    netns: valueFor('CNI_NETNS'),
    ifName: valueFor('CNI_IFNAME'),
    args: parseArgs(valueFor('CNI_ARGS')),
    // An empty entry would mean the working directory, which is nobody's choice.
    path: valueFor('CNI_PATH').split(':').filter((directory) => directory !== ''),
  };
}

function requireVerbName(value: string | undefined): Verb {
  const verb = verbs.find((known) => known === value);
  if (verb !== undefined) return verb;
  throw new WeftError('invalidEnvironment', `CNI_COMMAND must be one of ${verbs.join(', ')}: current value is ${showValue(value)}`);
}

function needOf(name: VariableName, verb: Verb): Need {
  return variables[name].needs[verb];
}

function findFaults(name: VariableName, verb: Verb, value: string): readonly string[] {
  const need = needOf(name, verb);
  if (need === 'unused' || need === 'tolerated') return [];
  if (value === '') return need === 'required' ? [`${name} must be set for ${verb}`] : [];
  const fault = variables[name].findFault(value);
  return fault === undefined ? [] : [`${name} ${fault}: current value is ${showValue(value)}`];
}

function findContainerIdFault(value: string): string | undefined {
  return isIdentifier(value) ? undefined : identifierRule;
}

/** IFNAMSIZ − 1 (include/uapi/linux/if.h). */
const ifNameBytesMax = 15;

/** `/` and `:`, and what the kernel's isspace() takes for white space, 0xa0 among it (lib/ctype.c). */
const forbiddenIfNameBytes: ReadonlySet<number> = new Set([0x2f, 0x3a, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x20, 0xa0]);

/** The kernel's rule (net/core/dev.c dev_valid_name), and no `%`: there the kernel would choose the name (dev_alloc_name). */
function findIfNameFault(value: string): string | undefined {
  const bytes = Buffer.from(value);
  if (bytes.length > ifNameBytesMax) return `must have at most ${ifNameBytesMax} bytes`;
  if (value === '.' || value === '..') return 'must not be "." or ".."';
  if (value.includes('%') || bytes.some((byte) => forbiddenIfNameBytes.has(byte))) return 'must not contain "/", ":", "%" or white space';
  return undefined;
}

function findArgsFault(value: string): string | undefined {
  return splitArgs(value).every(isPair) ? undefined : 'must be KEY=VALUE pairs separated by ";"';
}

/** The pairs that are sound; of a key given twice the last counts, as in the reference library. */
function parseArgs(text: string): ReadonlyMap<string, string> {
  return new Map(splitArgs(text).filter(isPair).map(splitPair));
}

function splitArgs(text: string): readonly string[] {
  return text.split(';').filter((pair) => pair !== '');
}

function isPair(text: string): boolean {
  return text.indexOf('=') > 0;
}

function splitPair(pair: string): readonly [string, string] {
  const at = pair.indexOf('=');
  return [pair.slice(0, at), pair.slice(at + 1)];
}
