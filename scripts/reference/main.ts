/**
 * Writes the files that are made of the configuration's schema. `make docs`.
 *
 *     node scripts/reference/main.ts
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { referenceFiles } from './reference.ts';

const root = resolve(import.meta.dirname, '../..');

for (const [path, text] of referenceFiles()) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
  process.stdout.write(`${path} is written\n`);
}
