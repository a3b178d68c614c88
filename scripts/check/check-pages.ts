/** The pages for readers do not point to what is not there: links to files, and make targets. */
import { posix } from 'node:path';
import type { Finding } from './finding.ts';

export interface PagePlace {
  /** Whether the project has a file or folder at a path relative to its root. */
  readonly exists: (path: string) => boolean;
  readonly makeTargets: readonly string[];
}

/** Every relative link and every `make …` of a Markdown page that leads nowhere. */
export function checkPage(path: string, text: string, { exists, makeTargets }: PagePlace): readonly Finding[] {
  const findings: Finding[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const error = (message: string): void => void findings.push({ path, line: index + 1, severity: 'error', message });
    for (const target of linksIn(line)) {
      if (!exists(posix.join(posix.dirname(path), target))) error(`the link leads nowhere: ${target}`);
    }
    for (const [, target = ''] of line.matchAll(/(?:`|^\s*(?:sudo )?)make ([a-z0-9-]+)/g)) {
      if (!makeTargets.includes(target)) error(`the Makefile has no target ${target}`);
    }
  }
  return findings;
}

/** The targets that a Makefile describes with `##`. */
export function makeTargetsOf(makefile: string): readonly string[] {
  return [...makefile.matchAll(/^([a-z0-9-]+):.*##/gm)].map(([, target = '']) => target);
}

/** Links to files of the project, without the place in the page. */
function linksIn(line: string): readonly string[] {
  const targets = [...line.matchAll(/\]\(([^)\s]+)\)/g), ...line.matchAll(/^\[[^\]]+\]:\s+(\S+)/g)].map(([, target = '']) => target);
  return targets.filter((target) => !/^([a-z]+:|#)/.test(target)).map((target) => target.replace(/#.*$/, ''));
}
