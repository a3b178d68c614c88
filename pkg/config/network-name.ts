/** Lenient reading for DEL and GC, which must work with a configuration that is incomplete or no longer valid. */
import { isIdentifier } from '../cni/identifier.ts';
import type { JsonObject } from '../cni/json-value.ts';

/** The network's name, or undefined where there is none that an attachment could have; never throws. */
export function networkNameOf(json: JsonObject): string | undefined {
  const { name } = json;
  return typeof name === 'string' && isIdentifier(name) ? name : undefined;
}
