/** Versions of the CNI specification: which weft speaks and which verbs each has. Pure. */
import { WeftError } from '../errors/weft-error.ts';
import { isAbsent, showValue } from './json-value.ts';

/** What weft speaks, oldest first. */
export const supportedVersions = ['0.4.0', '1.0.0', '1.1.0'] as const;
export type CniVersion = (typeof supportedVersions)[number];

/** VERSION answers in this version when the runtime names none. */
export const newestVersion: CniVersion = '1.1.0';

/** For answers to a call whose own version is unknown or unsupported: every runtime since 2021 reads it. */
export const fallbackVersion: CniVersion = '1.0.0';

/** CNI_COMMAND's values. */
export const verbs = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] as const;
export type Verb = (typeof verbs)[number];

/** Every release of the specification, oldest first (SPEC.md, "Released versions"). */
const releasedVersions: readonly string[] = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'];

/** The release that introduced each verb (SPEC.md, "Released versions"). */
const introducedIn: Readonly<Record<Verb, string>> = {
  ADD: '0.1.0',
  DEL: '0.1.0',
  VERSION: '0.2.0',
  CHECK: '0.4.0',
  GC: '1.1.0',
  STATUS: '1.1.0',
};

/** What a configuration without `cniVersion` means (SPEC.md 0.1.0, before the field existed). */
const impliedVersion = '0.1.0';

/** True for a version that weft speaks. */
export function isSupportedVersion(value: unknown): value is CniVersion {
  return supportedVersions.some((version) => version === value);
}

/** Whether the verb exists in a version of the specification; false for a version that was never released. */
export function hasVerb(version: string, verb: Verb): boolean {
  return releasedVersions.indexOf(version) >= releasedVersions.indexOf(introducedIn[verb]);
}

/**
 * The version a network configuration asks for.
 *
 * @param declared the configuration's `cniVersion`
 * @throws WeftError incompatibleVersion (code 1) when weft does not speak it
 */
export function requireVersion(declared: unknown): CniVersion {
  if (isSupportedVersion(declared)) return declared;
  const current = isAbsent(declared) ? `missing, which means "${impliedVersion}"` : showValue(declared);
  throw new WeftError('incompatibleVersion', `cniVersion must be one of ${supportedVersions.join(', ')}: current value is ${current}`);
}

/** @throws WeftError incompatibleVersion (code 1) when the version of the configuration has no such verb */
export function requireVerb(version: CniVersion, verb: Verb): void {
  if (hasVerb(version, verb)) return;
  throw new WeftError('incompatibleVersion', `cniVersion must be ${introducedIn[verb]} or newer for ${verb}: current value is "${version}"`);
}
