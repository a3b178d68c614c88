/** Files that are made of the sources are as the sources are. */
import type { Finding } from './finding.ts';

/** The files that are missing or say something else than they must. @param read undefined where there is no such file */
export function checkReference(files: ReadonlyMap<string, string>, read: (path: string) => string | undefined): readonly Finding[] {
  return [...files].flatMap(([path, text]) => {
    const actual = read(path);
    if (actual === text) return [];
    const message = `${actual === undefined ? 'it must be there' : 'it is not what the schema in pkg/config says'}: run \`make docs\``;
    return [{ path, severity: 'error', message, ...(actual === undefined ? {} : { line: firstDifference(actual, text) }) }];
  });
}

function firstDifference(actual: string, wanted: string): number {
  const [lines, wantedLines] = [actual.split('\n'), wanted.split('\n')];
  const index = lines.findIndex((line, at) => line !== wantedLines[at]);
  return (index < 0 ? lines.length : index) + 1;
}
