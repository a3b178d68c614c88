/** Which known word somebody meant: for messages about keys that nobody knows. */

/** Longer words are compared by their beginning: a key of a megabyte must not cost a megabyte's work for each known one. */
const comparedCharactersMax = 64;

/** The known word with the fewest edits to the given one, whatever their number; the first of equals. */
export function nearestOf(word: string, known: readonly string[]): string {
  let nearest = { candidate: '', edits: Infinity };
  for (const candidate of known) {
    const edits = editDistance(fold(word), fold(candidate));
    if (edits < nearest.edits) nearest = { candidate, edits };
  }
  return nearest.candidate;
}

/** Insertions, deletions, substitutions and swaps of neighbours that make one word of the other (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let beforePrevious: readonly number[] = [];
  let previous: readonly number[] = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1];
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      const edits = [at(previous, column) + 1, at(current, column - 1) + 1, at(previous, column - 1) + (isSame ? 0 : 1)];
      current.push(Math.min(...edits, isSwap ? at(beforePrevious, column - 2) + 1 : Infinity));
    }
    beforePrevious = previous;
    previous = current;
  }
  return at(previous, b.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Infinity;
}

/** Keys differ in case only by mistake. */
function fold(word: string): string {
  return word.slice(0, comparedCharactersMax).toLowerCase();
}
