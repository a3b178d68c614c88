/** The specification's rule for container IDs and network names (SPEC.md 1.1.0, "Parameters", "Network configuration format"). */

export function isIdentifier(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(text);
}

/** The rule in words, as a message goes on after the name of what breaks it. */
export const identifierRule = 'must begin with a letter or digit and have only letters, digits, "_", "." and "-"';
