/** A JSON Schema (draft-07, which editors know best) of a configuration, for completion and for mistakes that are seen while typing. */
import type { KeyShape, ObjectShape, Shape } from '../../pkg/config/shape.ts';

type Schema = Readonly<Record<string, unknown>>;

/** What can be said by type and bounds; what keys say together is for weft itself to check. Null counts as a missing key. */
export function jsonSchemaOf(shape: ObjectShape, { title, id }: { readonly title: string; readonly id: string }): Schema {
  return { $schema: 'http://json-schema.org/draft-07/schema#', $id: id, title, anyOf: [{ type: 'null' }, schemaOf(shape)] };
}

function schemaOf(shape: Shape): Schema {
  switch (shape.kind) {
    case 'boolean':
      return { type: 'boolean' };
    case 'integer':
      return shape.also === undefined ? bounds(shape) : { anyOf: [{ const: shape.also }, bounds(shape)] };
    case 'words':
      return { enum: shape.words };
    case 'text':
      return { type: 'string', ...(shape.pattern === undefined ? {} : { pattern: shape.pattern }) };
    case 'list':
      return { type: 'array', items: schemaOf(shape.item) };
    case 'object':
      return objectSchemaOf(shape);
    case 'either':
      return { anyOf: shape.shapes.map(schemaOf) };
    case 'refused':
      return { type: 'null' };
  }
}

function bounds({ min, max }: { readonly min: number; readonly max: number }): Schema {
  return { type: 'integer', minimum: min, maximum: max };
}

/** An ipam of another type has keys of its own: the table holds only where `type` is weft. */
function objectSchemaOf({ keys, required, ignored, onlyOf }: ObjectShape): Schema {
  const properties = Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, propertyOf(key, required.includes(name))]));
  const table = { type: 'object', properties, required, additionalProperties: ignored !== undefined };
  if (onlyOf === undefined) return table;
  const isOne = { properties: { [onlyOf.key]: { const: onlyOf.word } }, required: [onlyOf.key] };
  return { type: 'object', if: isOne, then: table };
}

function propertyOf({ shape, meaning, default: value }: KeyShape, isRequired: boolean): Schema {
  const schema = schemaOf(shape);
  const told = { description: meaning.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1'), ...(value === undefined ? {} : { default: value }) };
  return isRequired ? { ...told, ...schema } : { ...told, anyOf: [{ type: 'null' }, schema] };
}
