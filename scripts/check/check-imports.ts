/** The architecture: who imports whom, and who touches the process. The table is import-rules.ts. */
import { posix } from 'node:path';
import { SyntaxKind, type Node } from 'typescript/unstable/ast';
import type { Finding } from './finding.ts';
import { importRules, type ImportRule } from './import-rules.ts';
import { findingAt, isTestCode, type Source } from './source.ts';
import { importsOf, walk, type ImportedModule } from './syntax.ts';

/** What a process is started with and answers on: for entry points only, so that everything else takes it as a parameter. */
const processParts: readonly string[] = ['argv', 'env', 'exit', 'exitCode', 'stdin', 'stdout'];

/** Every import that the table does not allow, and every use of the process outside an entry point. */
export function checkImports(source: Source): readonly Finding[] {
  const findings: Finding[] = [];
  const rule = ruleOf(source.path);
  if (rule === undefined) {
    const message = `${posix.dirname(source.path)} must have a line in scripts/check/import-rules.ts: what it may import, and why`;
    return [{ path: source.path, severity: 'error', message }];
  }
  for (const imported of importsOf(source.file)) {
    const fault = faultOf(source.path, rule, imported);
    if (fault !== undefined) findings.push(findingAt(source, imported.node, fault));
  }
  return mayTouchProcess(source.path) ? findings : [...findings, ...processFindings(source)];
}

/** The rule with the longest path that holds the file. */
function ruleOf(path: string): ImportRule | undefined {
  return importRules.filter((rule) => isWithin(path, rule.path)).sort((a, b) => b.path.length - a.path.length)[0];
}

/** The folder of the table that a file is part of: a rule for a single file is about what that file imports. */
function folderOf(path: string): string | undefined {
  return ruleOf(posix.dirname(path))?.path;
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/** @returns what is wrong with the import, or undefined */
function faultOf(path: string, rule: ImportRule, { specifier }: ImportedModule): string | undefined {
  const isTest = isTestCode(path);
  if (specifier.startsWith('node:')) {
    const isAllowed = isTest || rule.node === 'any' || rule.node.includes(specifier);
    return isAllowed ? undefined : `${rule.path} may not import ${specifier}, because ${rule.because}`;
  }
  if (!specifier.startsWith('.')) {
    const name = packageName(specifier);
    const isAllowed = rule.packages.includes(name) || (name === 'tap' && isTest);
    return isAllowed ? undefined : `${rule.path} may not import the package ${name}, because ${rule.because}`;
  }
  return folderFault(path, posix.join(posix.dirname(path), specifier), rule);
}

function folderFault(path: string, target: string, rule: ImportRule): string | undefined {
  const isTest = isTestCode(path);
  const folder = folderOf(target);
  if (isTestCode(target) && !isTest && !path.startsWith('scripts/')) return `only tests may import ${target}`;
  if (folder !== undefined && (folder === folderOf(path) || rule.mayImport.includes(folder))) return undefined;
  // Tests build what they test from the real parts.
  if (isTest && path.startsWith('pkg/') && target.startsWith('pkg/')) return undefined;
  return `${rule.path} may not import ${folder ?? target}, because ${rule.because}`;
}

function packageName(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

function mayTouchProcess(path: string): boolean {
  return /^(cmd|scripts)\//.test(path) || isTestCode(path);
}

function processFindings(source: Source): readonly Finding[] {
  const fault = (node: Node, what: string): Finding =>
    findingAt(source, node, `${what} is for cmd/ only: take it as a parameter, or return what is to be printed`);
  const findings: Finding[] = [];
  for (const { node, specifier, names } of importsOf(source.file)) {
    if (specifier !== 'node:process') continue;
    findings.push(...names.filter((name) => processParts.includes(name)).map((name) => fault(node, `process.${name}`)));
  }
  for (const node of walk(source.file)) {
    if (node.kind !== SyntaxKind.PropertyAccessExpression) continue;
    const text = node.getText(source.file);
    if (text.startsWith('console.') || processParts.some((part) => text === `process.${part}`)) findings.push(fault(node, text));
  }
  return findings;
}
