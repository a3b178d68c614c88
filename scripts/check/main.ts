/**
 * The project's own rules, as `make check` runs them after the compiler. Prints what it finds; exit status 1 on an error.
 *
 *     node scripts/check/main.ts
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { entries } from '../../pkg/errors/catalogue.ts';
import { logCodeEntries } from '../../pkg/log/codes.ts';
import { checkDocs } from './check-docs.ts';
import { checkErrors, errorsPage } from './check-errors.ts';
import { checkImports } from './check-imports.ts';
import { checkLogCodes, logsPage } from './check-log-codes.ts';
import { checkPage, makeTargetsOf } from './check-pages.ts';
import { checkReference } from './check-reference.ts';
import { checkStyle } from './check-style.ts';
import { renderFinding, type Finding } from './finding.ts';
import { readSources } from './source.ts';
import { referenceFiles } from '../reference/reference.ts';

const root = resolve(import.meta.dirname, '../..');
main();

function main(): void {
  const sources = readSources(root);
  const pages = globSync(['*.md', '{docs,conf,e2e}/**/*.md'], { cwd: root }).sort();
  const findings = [
    ...sources.flatMap((source) => [...checkImports(source), ...checkStyle(source), ...checkDocs(source)]),
    ...checkErrors(read(errorsPage), entries),
    ...checkLogCodes(read(logsPage), logCodeEntries, sources.map(({ path }) => ({ path, text: read(path) })).filter(({ path }) => /^(pkg|cmd)\//.test(path))),
    ...checkPages(pages),
    ...checkReference(referenceFiles(), (path) => (existsSync(join(root, path)) ? read(path) : undefined)),
  ];
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  for (const finding of findings) print(renderFinding(finding));
  print(`Checked ${sources.length} sources and ${pages.length} pages: ${errors} errors, ${findings.length - errors} warnings`);
  if (errors > 0) process.exitCode = 1;
}

function checkPages(pages: readonly string[]): readonly Finding[] {
  const place = { exists: (path: string) => existsSync(join(root, path)), makeTargets: makeTargetsOf(read('Makefile')) };
  return pages.flatMap((page) => checkPage(page, read(page), place));
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
