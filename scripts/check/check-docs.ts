/** What pkg/ exports says what it is, in a doc comment. */
import { isInterfaceDeclaration, SyntaxKind, type Node } from 'typescript/unstable/ast';
import type { Finding } from './finding.ts';
import { findingAt, isTestCode, type Source } from './source.ts';
import { hasModifier, nameOf } from './syntax.ts';

const documentedKinds: ReadonlySet<SyntaxKind> = new Set([
  SyntaxKind.FunctionDeclaration,
  SyntaxKind.ClassDeclaration,
  SyntaxKind.InterfaceDeclaration,
]);

/** Every exported function, class and interface of a file in pkg/ that has no doc comment; an interface may have them on its members. */
export function checkDocs(source: Source): readonly Finding[] {
  if (!source.path.startsWith('pkg/') || /\.test\.ts$/.test(source.path)) return [];
  return source.file.statements
    .filter((statement) => documentedKinds.has(statement.kind) && hasModifier(statement, SyntaxKind.ExportKeyword))
    .filter((statement) => !isDocumented(statement))
    .map((statement) => findingAt(source, statement, `${nameOf(source.file, statement)} is exported and has no doc comment`, severityFor(source.path)));
}

function severityFor(path: string): Finding['severity'] {
  return isTestCode(path) ? 'warning' : 'error';
}

function isDocumented(node: Node): boolean {
  return hasDocComment(node) || (isInterfaceDeclaration(node) && node.members.some(hasDocComment));
}

function hasDocComment(node: Node): boolean {
  return node.jsDoc !== undefined && node.jsDoc.length > 0;
}
