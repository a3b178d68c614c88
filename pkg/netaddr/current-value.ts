const shownCharactersMax = 80;

/** The end of every message about a value that was refused: what it was, quoted if it is text, shortened if it is long. */
export function currentValue(value: unknown): string {
  if (value === undefined) return 'current value is missing';
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value);
  return `current value is ${text.length <= shownCharactersMax ? text : `${text.slice(0, shownCharactersMax)}…`}`;
}
