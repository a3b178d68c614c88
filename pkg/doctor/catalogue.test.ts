import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import t from 'tap';
import { catalogue } from './catalogue.ts';
import { layers } from './finding.ts';

/** Rows of the tables of docs/doctor.md. */
function documented(): readonly { readonly id: string; readonly severity: string; readonly what: string; readonly why: string }[] {
  const page = readFileSync(resolve(import.meta.dirname, '../../docs/doctor.md'), 'utf8');
  return [...page.matchAll(/^\| `([a-z0-9-]+)` \| (\w+) \| ([^|]+) \| ([^|]+) \|/gm)].map(([, id = '', severity = '', what = '', why = '']) => ({ id, severity, what, why }));
}

void t.test('every finding is documented, and nothing else', (t) => {
  const rows = documented();
  t.same(rows.map(({ id, severity, why }) => ({ id, severity, why })), Object.entries(catalogue).map(([id, { severity, why }]) => ({ id, severity, why })), 'docs/doctor.md has the catalogue, in its order');
  t.same(rows.filter(({ what }) => what.trim().length < 15), [], 'each says what is so');
  t.end();
});

void t.test('every finding of the catalogue can be found', (t) => {
  const directories = [import.meta.dirname, resolve(import.meta.dirname, 'look')];
  const sources = directories.flatMap((directory) => readdirSync(directory).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && name !== 'catalogue.ts').map((name) => readFileSync(resolve(directory, name), 'utf8')));
  t.same(Object.keys(catalogue).filter((id) => !sources.some((source) => source.includes(`'${id}'`))), []);
  t.end();
});

void t.test('entries are in the order of the layers', (t) => {
  const order = Object.values(catalogue).map(({ layer }) => layers.indexOf(layer));
  t.same(order, [...order].sort((a, b) => a - b));
  t.end();
});
