/** Patterns of Kubernetes namespaces: `*` for any text, `?` for one character. */

/** RFC 1123 labels, which namespaces are, with the pattern's two signs. */
export function isNamespacePattern(text: string): boolean {
  return /^[a-z0-9*?-]{1,63}$/.test(text);
}

/** True if the pattern matches all of the namespace. In time of the product of their lengths, for any pattern. */
export function matchesNamespace(pattern: string, namespace: string): boolean {
  let star = -1;
  let resume = 0;
  let place = 0;
  let position = 0;
  while (position < namespace.length) {
    if (pattern[place] === '*') {
      star = place++;
      resume = position;
    } else if (pattern[place] === '?' || pattern[place] === namespace[position]) {
      place++;
      position++;
    } else if (star >= 0) {
      // The last star takes one character more; earlier ones need not be tried again.
      place = star + 1;
      position = ++resume;
    } else {
      return false;
    }
  }
  return /^\**$/.test(pattern.slice(place));
}
