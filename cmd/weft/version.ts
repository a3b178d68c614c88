declare const WEFT_VERSION: string | undefined;

/** The version baked in by the build; in the source tree there is none. */
export const version: string = typeof WEFT_VERSION === 'string' ? WEFT_VERSION : 'development';
