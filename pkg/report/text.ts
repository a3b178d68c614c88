/** Words and tables for people. Pure. */

/** A cell: a text, or several lines. */
export type Cell = string | readonly string[];

const gap = '  ';

/**
 * Rows in columns, each as wide as its widest line; the last one is not filled up. Lines end with a line feed.
 * Cells may come from anywhere: nothing in them may write on somebody's terminal.
 */
export function renderTable(rows: readonly (readonly Cell[])[]): string {
  const blocks = rows.map((row) => row.map(linesOf));
  const widths: number[] = [];
  for (const block of blocks) {
    for (const [column, lines] of block.entries()) widths[column] = Math.max(widths[column] ?? 0, ...lines.map(lengthOf));
  }
  return blocks.flatMap((block) => renderRow(block, widths)).map((line) => `${line}\n`).join('');
}

function renderRow(block: readonly (readonly string[])[], widths: readonly number[]): readonly string[] {
  const height = Math.max(...block.map((lines) => lines.length));
  return Array.from({ length: height }, (_, line) => widths.map((width, column) => pad(block[column]?.[line] ?? '', width)).join(gap).trimEnd());
}

/** An empty cell is shown as a dash, so that a column that is empty everywhere is no riddle. */
function linesOf(cell: Cell): readonly string[] {
  const lines = (typeof cell === 'string' ? [cell] : cell).map(printable);
  return lines.every((line) => line === '') ? ['-'] : lines;
}

function lengthOf(text: string): number {
  return [...text].length;
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(width - lengthOf(text));
}

/** The text without characters that a terminal obeys: controls, and those that turn the direction of what follows. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '?');
}

/** The text, or its two ends, so that what tells it from its neighbours is still there. */
export function shorten(text: string, charactersMax: number): string {
  const characters = [...text];
  if (characters.length <= charactersMax) return text;
  const head = Math.ceil((charactersMax - 1) / 2);
  return `${characters.slice(0, head).join('')}…${characters.slice(characters.length - (charactersMax - 1 - head)).join('')}`;
}

const containerIdDigits = 12;
const nameCharactersMax = 30;

/** A container ID as runtimes' own tools show it: the first 12 digits of a hexadecimal one. */
export function shortContainerId(id: string): string {
  return /^[0-9a-f]{32,}$/.test(id) ? id.slice(0, containerIdDigits) : shorten(id, nameCharactersMax);
}

/** Items, with commas between them, in lines of at most so many characters; an item is never broken. */
export function wrapList(items: readonly string[], charactersMax: number): readonly string[] {
  const lines: string[] = [];
  for (const [index, item] of items.entries()) {
    const text = index < items.length - 1 ? `${item},` : item;
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + text.length <= charactersMax) lines[lines.length - 1] = `${last} ${text}`;
    else lines.push(text);
  }
  return lines;
}

const secondMs = 1000;
/** From the largest; an age is shown in the largest of which it has two. */
const units = [['d', 86_400 * secondMs], ['h', 3600 * secondMs], ['m', 60 * secondMs], ['s', secondMs]] as const;

/** A duration in milliseconds as `90s`, `5m`, `47h` or `3d`. One that clocks have made negative is `0s`. */
export function formatAge(ms: number): string {
  const [unit, length] = units.find((candidate) => ms >= 2 * candidate[1]) ?? ['s', secondMs];
  return `${Math.max(0, Math.floor(ms / length))}${unit}`;
}

/** Milliseconds since the epoch as `2026-08-04T12:00:00Z`; `unknown` for what no date has. */
export function formatTime(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? 'unknown' : date.toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Code units decide: the same order on every machine, whatever its language. */
export function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** `1 container`, `2 containers`. */
export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** A word of a command line as the shell needs it. */
export function quoted(word: string): string {
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
