/** What the pages say of a code: the sections of docs/errors.md, the rows of docs/doctor.md and docs/logs.md. The pages are the one source. */

/** The pages by name, as Markdown. */
export interface Pages {
  readonly errors: string;
  readonly doctor: string;
  readonly logs: string;
}

/** What a page says of a code. */
export interface Entry {
  readonly code: string;
  readonly page: keyof Pages;
  /** How bad it is, or that it is an error. */
  readonly kind: string;
  /** Label and text, in the order of the page. */
  readonly parts: readonly (readonly [label: string, text: string])[];
}

/** Every entry of the pages, in their order. A code may be in two of them. */
export function entriesOf({ errors, doctor, logs }: Pages): readonly Entry[] {
  return [
    ...sectionsOf(errors),
    ...rowsOf(doctor, 'doctor', ['what is so', 'what comes of it', 'what to do']),
    ...rowsOf(logs, 'logs', ['what is so', 'what to look at', 'what to do']),
  ];
}

/** `## 102 rangeExhausted`, a summary, and paragraphs that begin with a label. */
function sectionsOf(page: string): readonly Entry[] {
  return page.split(/^## (?=\d+ )/m).slice(1).map((section) => {
    const [heading = '', ...lines] = section.split(/\n/);
    const paragraphs = lines.join('\n').split(/\n{2,}/).map((text) => text.trim()).filter((text) => text !== '' && !/^\[[^\]]+\]: /.test(text));
    return { code: heading.trim(), page: 'errors', kind: 'error', parts: paragraphs.map(partOf) };
  });
}

function partOf(paragraph: string): readonly [string, string] {
  const [, label, text] = /^\*\*([^*]+):\*\*\s+([^]*)$/.exec(paragraph) ?? [];
  return label === undefined || text === undefined ? ['', paragraph] : [label.toLowerCase(), text];
}

/** Rows of tables whose first column is a code and whose second one is a level. */
function rowsOf(page: string, name: keyof Pages, labels: readonly string[]): readonly Entry[] {
  return [...page.matchAll(/^\| `([a-z0-9-]+)` \| (note|warn|warning|error) \| (.*) \|$/gm)].map(([, code = '', kind = '', rest = '']) => {
    const cells = rest.split(/(?<!\\) \| /).map((cell) => cell.replaceAll('\\|', '|').trim());
    return { code, page: name, kind, parts: labels.map((label, index) => [label, cells[index] ?? ''] as const) };
  });
}

/** The codes as people type them: of an error both its number and its name. */
export function codesOf(entries: readonly Entry[]): readonly string[] {
  return [...new Set(entries.flatMap(({ code }) => code.split(' ')))];
}

/** The entries of a code, by number or by name, in any case. */
export function findEntries(entries: readonly Entry[], code: string): readonly Entry[] {
  const wanted = code.toLowerCase();
  return entries.filter((entry) => entry.code.toLowerCase().split(' ').includes(wanted));
}
