/** What is wrong with a configuration: collected while it is read, and told all at once. */
import { WeftError } from '../errors/weft-error.ts';

/** Keys and indices from the configuration's root to a value. */
export type Path = readonly (string | number)[];

export interface Fault {
  readonly path: Path;
  /** Names the key and says what to change. */
  readonly message: string;
  /** What is unknown or not built is told apart from what is wrong (CNI codes 2 and 7). */
  readonly code: 'unsupportedField' | 'invalidConfiguration';
}

/** Where a value stands, and where its faults go. */
export interface Site {
  readonly path: Path;
  readonly faults: Fault[];
}

/** The path as messages show it: `ipam.ranges[0][1].subnet`. */
export function formatPath(path: Path): string {
  if (path.length === 0) return 'the configuration';
  return path.map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`)).join('');
}

/** The site of a value inside this one. */
export function siteWithin(site: Site, step: string | number): Site {
  return { path: [...site.path, step], faults: site.faults };
}

/** Adds a fault; the message is a sentence that names the key itself. */
export function report({ path, faults }: Site, message: string, code: Fault['code'] = 'invalidConfiguration'): void {
  faults.push({ path, message, code });
}

/**
 * Throws if there are faults. Unknown keys come first and decide the code: a misspelt key is why another one is missing.
 *
 * @param describe how a fault is told; for files, with the line
 * @throws WeftError unsupportedField or invalidConfiguration, one message with every fault
 */
export function throwFaults(faults: readonly Fault[], describe: (fault: Fault) => string = (fault) => fault.message): void {
  const unsupported = faults.filter(({ code }) => code === 'unsupportedField');
  const invalid = faults.filter(({ code }) => code === 'invalidConfiguration');
  const [first] = [...unsupported, ...invalid];
  if (first !== undefined) throw new WeftError(first.code, [...unsupported, ...invalid].map(describe).join('; '));
}
