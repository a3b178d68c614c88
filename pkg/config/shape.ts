/** What readers take, told as data: the reference pages and the JSON Schema are made of it. */

/** A key of an object, as it is told to people. */
export interface KeyShape {
  readonly shape: Shape;
  /** What it does; Markdown without a line break. */
  readonly meaning: string;
  /** What counts where the key is missing, as it would be written. */
  readonly default?: unknown;
  /** The same in words, where it is no value. */
  readonly otherwise?: string;
  /** Of a number. */
  readonly unit?: string;
  /** As it is usually written, where the reader takes it in any case. */
  readonly spelling?: string;
}

/** An object with the keys that it may have. */
export interface ObjectShape {
  readonly kind: 'object';
  readonly keys: Readonly<Record<string, KeyShape>>;
  readonly required: readonly string[];
  /** Which other keys are left alone, in words; absent: none, they are refused. */
  readonly ignored?: string;
  /** The keys are read only where this one is this word; otherwise they are somebody else's to read. */
  readonly onlyOf?: { readonly key: string; readonly word: string };
}

/** What a value may be. */
export type Shape =
  | { readonly kind: 'boolean' }
  /** `also`: a value outside the bounds that is allowed as well. */
  | { readonly kind: 'integer'; readonly min: number; readonly max: number; readonly also?: number }
  | { readonly kind: 'words'; readonly words: readonly string[] }
  /** `pattern`: what every sound value matches, and perhaps others; ECMA-262. */
  | { readonly kind: 'text'; readonly noun: string; readonly pattern?: string }
  | { readonly kind: 'list'; readonly noun: string; readonly item: Shape }
  | ObjectShape
  | { readonly kind: 'either'; readonly shapes: readonly Shape[] }
  /** A key that is known and refused. */
  | { readonly kind: 'refused' };
