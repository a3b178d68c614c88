/** The reference pages: a section for each object of a configuration, a row for each key. */
import type { KeyShape, ObjectShape, Shape } from '../../pkg/config/shape.ts';

/** One configuration and what is said of it before its keys. */
export interface ReferencePage {
  readonly title: string;
  /** Markdown, a paragraph each. */
  readonly opening: readonly string[];
  readonly shape: ObjectShape;
  /** Where else a key of the outermost object may stand; absent: nothing is said of it. */
  readonly placesOf?: (key: string) => readonly string[];
  /** Sections behind those of the keys, as they are. */
  readonly closing?: readonly string[];
}

/** A section that is yet to be written: an object, and the path by which it is reached. */
interface Section {
  readonly path: string;
  readonly shape: ObjectShape;
}

/** The page as Markdown. An object that is reached in two ways is told once. */
export function renderPage({ title, opening, shape, placesOf, closing = [] }: ReferencePage): string {
  const sections = sectionsOf({ path: '', shape }, new Set());
  const firstPaths = new Map<ObjectShape, string>();
  for (const section of sections) if (!firstPaths.has(section.shape)) firstPaths.set(section.shape, section.path);
  const parts = sections.map((section) => renderSection(section, { firstPaths, ...(section.path === '' && placesOf !== undefined ? { placesOf } : {}) }));
  return `${[`# ${title}`, ...opening, ...parts, ...closing].join('\n\n')}\n`;
}

function sectionsOf(section: Section, seen: Set<ObjectShape>): readonly Section[] {
  if (seen.has(section.shape)) return [];
  seen.add(section.shape);
  const inner = Object.entries(section.shape.keys).flatMap(([name, key]) => objectsIn(key.shape, section.path === '' ? spelt(name, key) : `${section.path}.${spelt(name, key)}`));
  return [section, ...inner.flatMap((one) => sectionsOf(one, seen))];
}

/** The objects that a value may be or hold; `[]` stands for each item of a list. */
function objectsIn(shape: Shape, path: string): readonly Section[] {
  if (shape.kind === 'object') return [{ path, shape }];
  if (shape.kind === 'list') return objectsIn(shape.item, `${path}[]`);
  return shape.kind === 'either' ? shape.shapes.flatMap((one) => objectsIn(one, path)) : [];
}

interface RowContext {
  readonly firstPaths: ReadonlyMap<ObjectShape, string>;
  readonly placesOf?: (key: string) => readonly string[];
}

function renderSection({ path, shape }: Section, context: RowContext): string {
  const heading = path === '' ? '## Keys' : `## \`${path}\``;
  const head = context.placesOf === undefined ? '| key | type | without it | meaning |\n|---|---|---|---|' : '| key | type | without it | also in | meaning |\n|---|---|---|---|---|';
  const [needed, others] = [true, false].map((isNeeded) => Object.entries(shape.keys).filter(([name]) => shape.required.includes(name) === isNeeded));
  const rows = [...(needed ?? []), ...(others ?? [])].map(([name, key]) => renderRow(name, key, { section: shape, context }));
  const unknown = shape.ignored === undefined ? 'Any other key is refused.' : `Left alone: ${shape.ignored}.`;
  return `${heading}\n\n${[head, ...rows].join('\n')}\n\n${unknown}`;
}

function renderRow(name: string, key: KeyShape, { section, context }: { readonly section: ObjectShape; readonly context: RowContext }): string {
  const places = context.placesOf?.(name);
  const cells = [`\`${spelt(name, key)}\``, typeOf(key, context.firstPaths), absenceOf(name, key, section), ...(places === undefined ? [] : [places.join(', ')]), key.meaning];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function spelt(name: string, { spelling = name }: KeyShape): string {
  return spelling;
}

function absenceOf(name: string, { default: value, otherwise }: KeyShape, section: ObjectShape): string {
  if (section.required.includes(name)) return '**must be given**';
  if (value !== undefined) return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
  if (otherwise === undefined) throw new TypeError(`the key ${name} must have a default, or say what happens without it (pkg/config)`);
  return otherwise;
}

function typeOf({ shape, unit }: KeyShape, firstPaths: ReadonlyMap<ObjectShape, string>): string {
  return `${nounOf(shape, firstPaths)}${unit === undefined ? '' : `, ${unit}`}`;
}

function nounOf(shape: Shape, firstPaths: ReadonlyMap<ObjectShape, string>): string {
  switch (shape.kind) {
    case 'boolean':
      return '`true` or `false`';
    case 'integer':
      return `${shape.also === undefined ? '' : `${shape.also}, or `}whole number from ${shape.min} to ${shape.max}`;
    case 'words':
      return shape.words.map((word) => `\`${word}\``).join(', ');
    case 'text':
      return shape.noun;
    case 'list':
      return `list of ${shape.item.kind === 'text' || shape.item.kind === 'words' ? shape.noun : `${shape.noun}: ${nounOf(shape.item, firstPaths)}`}`;
    case 'object':
      return `section ${linkTo(firstPaths.get(shape) ?? '')}`;
    case 'either':
      return shape.shapes.map((one) => nounOf(one, firstPaths)).join(', or ');
    case 'refused':
      return 'refused';
  }
}

/** To the heading of a path, by the name that Markdown's renderers give it. */
function linkTo(path: string): string {
  return `[\`${path}\`](#${path.toLowerCase().replaceAll(/[^a-z0-9_-]/g, '')})`;
}
