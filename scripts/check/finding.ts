/** What a check has to say about one place in the tree. */
export interface Finding {
  /** Relative to the project's root. */
  readonly path: string;
  /** Counted from 1; absent: the whole file. */
  readonly line?: number;
  /** An error fails `make check`; a warning asks to be looked at. */
  readonly severity: 'error' | 'warning';
  /** What is wrong and what to change. */
  readonly message: string;
}

/** One line, in the form editors and terminals make links of. */
export function renderFinding({ path, line, severity, message }: Finding): string {
  return `${path}${line === undefined ? '' : `:${line}`}: ${severity}: ${message}`;
}
