/** docs/errors.md and the error catalogue say the same: one entry each, in the order of the codes. */
import type { CatalogueEntry } from '../../pkg/errors/catalogue.ts';
import type { Finding } from './finding.ts';

/** Where the reader's copy of the catalogue is. */
export const errorsPage = 'docs/errors.md';

/** The parts of the page that do not say what the catalogue says. */
export function checkErrors(page: string, catalogue: Readonly<Record<string, CatalogueEntry>>): readonly Finding[] {
  const sections = readSections(page);
  const findings: Finding[] = [];
  const error = (message: string, line?: number): void =>
    void findings.push({ path: errorsPage, severity: 'error', message, ...(line === undefined ? {} : { line }) });

  const wanted = Object.entries(catalogue).sort(([, a], [, b]) => a.cniCode - b.cniCode).map(([name, entry]) => headingOf(name, entry));
  const actual = sections.map(({ heading }) => heading);
  for (const heading of wanted.filter((one) => !actual.includes(one))) error(`an entry "## ${heading}" must be there`);
  for (const { heading, line } of sections.filter((section) => !wanted.includes(section.heading))) {
    error(`"${heading}" is not in pkg/errors/catalogue.ts: correct the name or the code, or remove the entry`, line);
  }
  if (findings.length === 0 && actual.join() !== wanted.join()) error(`the entries must be in the order of their codes, each once: ${wanted.join(', ')}`);

  for (const [name, entry] of Object.entries(catalogue)) {
    const section = sections.find(({ heading }) => heading === headingOf(name, entry));
    if (section !== undefined) for (const fault of faultsOf(section.text, entry)) error(`${section.heading}: ${fault}`, section.line);
  }
  return findings;
}

interface Section {
  readonly heading: string;
  /** Of the heading, counted from 1. */
  readonly line: number;
  readonly text: string;
}

function readSections(page: string): readonly Section[] {
  const lines = page.split('\n');
  const starts = [...lines.keys()].filter((index) => lines[index]?.startsWith('## '));
  return starts.map((start, number) => ({
    heading: (lines[start] ?? '').slice(3).trim(),
    line: start + 1,
    text: lines.slice(start + 1, starts[number + 1]).join('\n'),
  }));
}

function headingOf(name: string, { cniCode }: CatalogueEntry): string {
  return `${cniCode} ${name}`;
}

function faultsOf(text: string, { title, isRetryable }: CatalogueEntry): readonly string[] {
  const summary = `${title}. Worth repeating: ${isRetryable ? 'yes' : 'no'}.`;
  const faults: string[] = [];
  if (text.trim().split('\n')[0] !== summary) faults.push(`the first line must be "${summary}"`);
  for (const label of ['When', 'What to do']) {
    if (!new RegExp(`^\\*\\*${label}:\\*\\* \\S`, 'm').test(text)) faults.push(`a paragraph must begin with "**${label}:**"`);
  }
  return faults;
}
