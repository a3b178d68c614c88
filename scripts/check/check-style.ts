/** Sizes, names and constructs: the rules of CONTRIBUTING.md that can be counted. */
import { basename, dirname } from 'node:path/posix';
import { SyntaxKind, type Node } from 'typescript/unstable/ast';
import type { Finding } from './finding.ts';
import { bannedFolders } from './import-rules.ts';
import { findingAt, isTestCode, lineOf, type Source } from './source.ts';
import { hasModifier, importsOf, isFunctionWithBody, nameOf, walk, type FunctionNode } from './syntax.ts';

const fileLinesWarned = 350;
const fileLinesMax = 500;
const functionLinesWarned = 40;
const functionLinesMax = 60;
const parametersMax = 4;
const nestingMax = 3;

/** Every breach of a rule in one file. */
export function checkStyle(source: Source): readonly Finding[] {
  const nodes = [...walk(source.file)];
  return [
    ...checkFile(source),
    ...nodes.filter(isFunctionWithBody).flatMap((node) => checkFunction(source, node)),
    ...nodes.flatMap((node) => checkConstruct(source, node)),
    ...(maySleep(source.path) ? [] : checkSleep(source, nodes)),
  ];
}

function checkFile({ path, file }: Source): readonly Finding[] {
  const findings: Finding[] = [];
  const error = (message: string): void => void findings.push({ path, severity: 'error', message });
  const lines = lineOf(file, file.text.trimEnd().length);
  if (lines > fileLinesMax) error(`a file has at most ${fileLinesMax} lines: this has ${lines}`);
  else if (lines > fileLinesWarned) findings.push({ path, severity: 'warning', message: `${lines} lines: is this one idea?` });
  const banned = dirname(path).split('/').find((folder) => bannedFolders.includes(folder));
  if (banned !== undefined) error(`a folder is named after its idea: "${banned}" says nothing`);
  if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+)*\.ts$/.test(basename(path))) error('a file name is in kebab-case');
  return findings;
}

function checkFunction(source: Source, node: FunctionNode): readonly Finding[] {
  const { file } = source;
  const findings: Finding[] = [];
  const name = nameOf(file, node);
  const lines = lineOf(file, node.getEnd()) - lineOf(file, node.getStart(file)) + 1;
  if (lines > functionLinesMax) findings.push(findingAt(source, node, `a function has at most ${functionLinesMax} lines: ${name} has ${lines}`));
  else if (lines > functionLinesWarned) findings.push(findingAt(source, node, `${name} has ${lines} lines: can it be two?`, 'warning'));
  if (node.parameters.length > parametersMax) {
    findings.push(findingAt(source, node, `a function has at most ${parametersMax} parameters: ${name} has ${node.parameters.length}; take an object`));
  }
  const depth = depthOf(node.body);
  if (depth > nestingMax) findings.push(findingAt(source, node, `blocks nest at most ${nestingMax} deep: in ${name} they nest ${depth}`));
  return findings;
}

const nestingKinds: ReadonlySet<SyntaxKind> = new Set([
  SyntaxKind.IfStatement,
  SyntaxKind.ForStatement,
  SyntaxKind.ForInStatement,
  SyntaxKind.ForOfStatement,
  SyntaxKind.WhileStatement,
  SyntaxKind.DoStatement,
  SyntaxKind.SwitchStatement,
  SyntaxKind.TryStatement,
]);

/** How deep statements nest below a node; functions inside it count for themselves, and `else if` is no deeper than `if`. */
function depthOf(node: Node): number {
  let deepest = 0;
  node.forEachChild((child) => {
    if (isFunctionWithBody(child)) return;
    const isElseIf = child.kind === SyntaxKind.IfStatement && node.kind === SyntaxKind.IfStatement;
    deepest = Math.max(deepest, depthOf(child) + (nestingKinds.has(child.kind) && !isElseIf ? 1 : 0));
  });
  return deepest;
}

function checkConstruct(source: Source, node: Node): readonly Finding[] {
  if (node.kind === SyntaxKind.AnyKeyword) return [findingAt(source, node, 'no `any`: take `unknown` and look at it')];
  if (node.kind === SyntaxKind.ExportAssignment || hasModifier(node, SyntaxKind.DefaultKeyword)) {
    return [findingAt(source, node, 'no default export: a thing has one name everywhere')];
  }
  return [];
}

/** Timers wait in one place, so that everything else can be tested without time. */
function maySleep(path: string): boolean {
  return /^(pkg\/sys|scripts)\//.test(path) || isTestCode(path);
}

function checkSleep(source: Source, nodes: readonly Node[]): readonly Finding[] {
  const message = 'no timers outside pkg/sys: wait for the condition, with a deadline from there';
  const calls = nodes.filter((node) => {
    const { expression } = node as { expression?: Node };
    return node.kind === SyntaxKind.CallExpression && ['setTimeout', 'setInterval'].includes(expression?.getText(source.file) ?? '');
  });
  const imports = [...importsOf(source.file)].filter(({ specifier }) => specifier.startsWith('node:timers')).map(({ node }) => node);
  return [...calls, ...imports].map((node) => findingAt(source, node, message));
}
