/** Reading values of unknown JSON: what they are, and how a message shows them. Pure. */

/** A JSON object whose fields nobody has looked at yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** True for a JSON object; arrays and null are none. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** True for a field that was left out or is null; runtimes written in Go send either. */
export function isAbsent(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

const shownCharactersMax = 80;

/** The value as a message shows it: scalars as JSON and shortened, arrays and objects by their kind. */
export function showValue(value: unknown): string {
  if (value === undefined) return 'missing';
  if (Array.isArray(value)) return 'an array';
  if (isJsonObject(value)) return 'an object';
  const text = JSON.stringify(value);
  return text.length <= shownCharactersMax ? text : `${text.slice(0, shownCharactersMax)}…`;
}
