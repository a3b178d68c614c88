/** Figures as text for a terminal. Pure. */

/** Rows of cells, the first column left-aligned and the others right-aligned, each as wide as its widest cell. */
export function renderTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) row.forEach((cell, column) => (widths[column] = Math.max(widths[column] ?? 0, cell.length)));
  const align = (cell: string, column: number): string => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0));
  return rows.map((row) => `  ${row.map(align).join('   ')}`.trimEnd()).join('\n');
}

/** Milliseconds. */
export function formatMs(ms: number): string {
  return ms.toFixed(ms < 100 ? 2 : 0);
}

/** A share of something else. */
export function formatRatio(share: number): string {
  return `${share.toFixed(2)} ×`;
}

/** Bytes as MiB. */
export function formatMiB(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}
