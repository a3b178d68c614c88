/** Entries of the pages as text for a terminal. */
import type { Entry } from './entries.ts';

/** A line of a terminal is at least so wide. */
const columnsMax = 100;

const kinds: Readonly<Record<Entry['page'], string>> = { errors: 'error of a call', doctor: 'finding of weft doctor', logs: 'line of the log' };

/** The entries of one code, below each other. */
export function renderEntries(entries: readonly Entry[]): string {
  return entries.map(renderEntry).join('\n');
}

function renderEntry({ code, page, kind, parts }: Entry): string {
  const heading = page === 'errors' ? `${code} (${kinds[page]})` : `${code} (${kinds[page]}, ${kind})`;
  const width = Math.max(...parts.map(([label]) => label.length)) + 2;
  const lines = parts.flatMap(([label, text]) => {
    const [first = '', ...rest] = wrap(plain(text), columnsMax - width - 2);
    return [`  ${`${label}${label === '' ? '' : ':'}`.padEnd(width)}${first}`, ...rest.map((line) => `  ${' '.repeat(width)}${line}`)];
  });
  return `${[heading, ...lines].map((line) => line.trimEnd()).join('\n')}\n`;
}

/** Without what only Markdown needs. */
function plain(text: string): string {
  return text.replaceAll(/\[([^\]]+)\]\(([^)]+)\)/g, (_all, words: string, target: string) => (/^[a-z]+:/.test(target) || words === target ? words : `${words} (docs/${target})`)).replaceAll(/\[([^\]]+)\]\[[^\]]*\]/g, '$1').replaceAll('**', '').replaceAll(/\s+/g, ' ').trim();
}

function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
