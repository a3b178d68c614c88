/** Shapes that tests make pages of. */
import type { KeyShape, Shape } from '../../pkg/config/shape.ts';
import { renderPage } from './page.ts';

export const integer: Shape = { kind: 'integer', min: 1, max: 9 };
export const objects: Shape = { kind: 'list', noun: 'things', item: { kind: 'object', keys: { deep: { shape: integer, meaning: 'Deep.', otherwise: 'none' } }, required: [] } };

export function page(keys: Readonly<Record<string, KeyShape>>, required: readonly string[]): string {
  return renderPage({ title: 'T', opening: ['O.'], shape: { kind: 'object', keys, required } });
}
