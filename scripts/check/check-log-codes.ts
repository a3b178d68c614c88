/** docs/logs.md and the catalogue of log codes say the same, and every code is said somewhere. */
import type { LogCodeEntry } from '../../pkg/log/codes.ts';
import type { Finding } from './finding.ts';

/** Where the reader's copy of the catalogue is. */
export const logsPage = 'docs/logs.md';
const cataloguePath = 'pkg/log/codes.ts';

/** A source of the project, as text. */
export interface SourceText {
  readonly path: string;
  readonly text: string;
}

/** What the page lacks or has too many, and codes that no source says. */
export function checkLogCodes(page: string, catalogue: Readonly<Record<string, LogCodeEntry>>, sources: readonly SourceText[]): readonly Finding[] {
  const rows = page.split('\n').flatMap((line, index) => {
    const [, code, level, title, look = '', fix = ''] = /^\| `([a-z0-9-]+)` \| ([^|]*) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|$/.exec(line) ?? [];
    return code === undefined ? [] : [{ code, level, title, isWhole: look.trim() !== '' && fix.trim() !== '', line: index + 1 }];
  });
  const missing = Object.keys(catalogue).filter((code) => !rows.some((row) => row.code === code));
  const texts = sources.filter(({ path }) => path !== cataloguePath && !path.endsWith('.test.ts')).map(({ text }) => text);
  const unsaid = Object.keys(catalogue).filter((code) => !texts.some((text) => text.includes(`'${code}'`)));
  return [
    ...missing.map((code) => error(logsPage, `a row for ${code} must be there`)),
    ...rows.flatMap((row) => faultsOf(row, catalogue[row.code]).map((fault) => error(logsPage, `${row.code}: ${fault}`, row.line))),
    ...rows.filter(({ code }, index) => rows.findIndex((other) => other.code === code) < index).map(({ code, line }) => error(logsPage, `${code}: there is a row of it above`, line)),
    ...unsaid.map((code) => error(cataloguePath, `nothing says ${code}: say it, or remove it`)),
  ];
}

interface Row {
  readonly level: string | undefined;
  readonly title: string | undefined;
  readonly isWhole: boolean;
}

function faultsOf({ level, title, isWhole }: Row, entry: LogCodeEntry | undefined): readonly string[] {
  if (entry === undefined) return [`it is not in ${cataloguePath}: correct the code, or remove the row`];
  const faults = [];
  if (level !== entry.level) faults.push(`its level must be ${entry.level}`);
  if (title !== entry.title) faults.push(`what is so must be "${entry.title}"`);
  if (!isWhole) faults.push('it must say what to look at and what to do');
  return faults;
}

function error(path: string, message: string, line?: number): Finding {
  return { path, severity: 'error', message, ...(line === undefined ? {} : { line }) };
}
