/** The pages that the executable has with it, so that a code can be looked up without a network. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getAsset, isSea } from 'node:sea';
import type { Pages } from '../../pkg/explain/entries.ts';

/** The assets' names are those of the files in docs/; scripts/build.ts writes them. */
export function readPages(): Pages {
  return { errors: readPage('errors.md'), doctor: readPage('doctor.md'), logs: readPage('logs.md') };
}

/** In the source tree the file itself. */
function readPage(name: string): string {
  return isSea() ? getAsset(name, 'utf8') : readFileSync(join(import.meta.dirname, '../../docs', name), 'utf8');
}
