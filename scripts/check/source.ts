/**
 * The project's sources as syntax trees, for the checks.
 *
 * They come from TypeScript 7's own parser through its API, which is still called unstable: this file and syntax.ts are
 * the only ones that know it, and package.json names the exact version.
 */
import { API } from 'typescript/unstable/sync';
import { createVirtualFileSystem } from 'typescript/unstable/fs';
import type { Node, SourceFile } from 'typescript/unstable/ast';
import type { Finding } from './finding.ts';

export interface Source {
  /** Relative to the project's root, with forward slashes. */
  readonly path: string;
  readonly file: SourceFile;
}

/** Parses every file that the tsconfig.json in the directory includes. */
export function readSources(root: string): readonly Source[] {
  return parseProject(root);
}

/** Parses texts that are in no file; the keys are paths relative to the root. For the tests of the checks. */
export function parseSources(texts: Readonly<Record<string, string>>): readonly Source[] {
  const root = '/project';
  const files = Object.fromEntries(Object.entries(texts).map(([path, text]) => [`${root}/${path}`, text]));
  const options = { noLib: true, noResolve: true, types: [], allowImportingTsExtensions: true, noEmit: true };
  files[`${root}/tsconfig.json`] = JSON.stringify({ compilerOptions: options, include: ['**/*.ts'] });
  return parseProject(root, files);
}

function parseProject(root: string, files?: Readonly<Record<string, string>>): readonly Source[] {
  const api = new API(files === undefined ? { cwd: root } : { cwd: root, fs: createVirtualFileSystem(files) });
  try {
    using snapshot = api.updateSnapshot({ openProjects: [`${root}/tsconfig.json`] });
    const project = snapshot.getProjects()[0];
    if (project === undefined) throw new Error(`Cannot read the project: ${root}/tsconfig.json must be there`);
    return project.rootFiles.map((name) => {
      const file = project.program.getSourceFile(name);
      if (file === undefined) throw new Error(`TypeScript has not read ${name}`);
      return { path: name.slice(root.length + 1), file };
    });
  } finally {
    api.close();
  }
}

/** A finding about a node of a source. */
export function findingAt({ path, file }: Source, node: Node, message: string, severity: Finding['severity'] = 'error'): Finding {
  return { path, line: lineOf(file, node.getStart(file)), severity, message };
}

/** The line, counted from 1, that a position in the file is on. */
export function lineOf(file: SourceFile, position: number): number {
  return file.getLineAndCharacterOfPosition(position).line + 1;
}

/** Test code: it runs beside the tests and is never shipped, so that what is for the product only does not bind it. */
export function isTestCode(path: string): boolean {
  return /(^|\/)test-[^/]*\.ts$|\.test\.ts$/.test(path) || /^(e2e|pkg\/testing)\//.test(path);
}
