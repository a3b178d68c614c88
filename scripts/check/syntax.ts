/** The questions that the checks ask of a syntax tree. */
import { isFunctionLikeDeclaration, SyntaxKind, type Node, type SourceFile } from 'typescript/unstable/ast';

/** All nodes of a tree, a parent before its children. */
export function* walk(node: Node): Generator<Node> {
  yield node;
  const children: Node[] = [];
  node.forEachChild((child) => void children.push(child));
  for (const child of children) yield* walk(child);
}

/** A function with a body: declaration, method, accessor, constructor, arrow or expression. */
export interface FunctionNode extends Node {
  readonly body: Node;
  readonly parameters: readonly Node[];
  readonly name?: Node;
}

export function isFunctionWithBody(node: Node): node is FunctionNode {
  return isFunctionLikeDeclaration(node) && 'body' in node && node.body !== undefined;
}

/** The name a declaration is known by, for messages; a function without one has that of the variable it is given to. */
export function nameOf(file: SourceFile, node: Node): string {
  const [own, given] = [node, node.parent].map((named) => (named as { readonly name?: Node }).name);
  const name = own ?? given;
  if (name === undefined) return 'a function without a name';
  return isFunctionLikeDeclaration(node) && name === own ? `${name.getText(file)}()` : name.getText(file);
}

export interface ImportedModule {
  readonly node: Node;
  /** As it is written: a relative path with its extension, a package, or a node: module. */
  readonly specifier: string;
  /** The names an import statement takes. */
  readonly names: readonly string[];
}

/** Everything a file imports: by statement, re-export, `import()` and `typeof import()`. */
export function* importsOf(file: SourceFile): Generator<ImportedModule> {
  for (const node of walk(file)) {
    const literal = specifierOf(node);
    if (literal !== undefined) yield { node, specifier: (literal as Node & { readonly text: string }).text, names: [...namesOf(file, node)] };
  }
}

function specifierOf(node: Node): Node | undefined {
  const parts = node as { moduleSpecifier?: Node; argument?: { literal?: Node }; expression?: Node; arguments?: readonly Node[] };
  let found: Node | undefined;
  if (node.kind === SyntaxKind.ImportDeclaration || node.kind === SyntaxKind.ExportDeclaration) found = parts.moduleSpecifier;
  if (node.kind === SyntaxKind.ImportType) found = parts.argument?.literal;
  if (node.kind === SyntaxKind.CallExpression && parts.expression?.kind === SyntaxKind.ImportKeyword) found = parts.arguments?.[0];
  return found?.kind === SyntaxKind.StringLiteral ? found : undefined;
}

function* namesOf(file: SourceFile, node: Node): Generator<string> {
  for (const inner of walk(node)) {
    const { propertyName, name } = inner as { propertyName?: Node; name?: Node };
    if (inner.kind === SyntaxKind.ImportSpecifier) yield (propertyName ?? name)?.getText(file) ?? '';
  }
}

export function hasModifier(node: Node, kind: SyntaxKind): boolean {
  const { modifiers } = node as { modifiers?: readonly Node[] };
  return modifiers?.some((modifier) => modifier.kind === kind) ?? false;
}
