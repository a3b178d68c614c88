import t from 'tap';
import { randomFrom, testSeed } from '../testing/random.ts';
import { isNamespacePattern, matchesNamespace } from './namespaces.ts';

const rows: readonly (readonly [string, string, boolean])[] = [
  ['blue', 'blue', true],
  ['blue', 'blues', false],
  ['blue', 'blu', false],
  ['blue', 'xblue', false],
  ['*', '', true],
  ['*', 'anything', true],
  ['blue-*', 'blue-1', true],
  ['blue-*', 'blue-', true],
  ['blue-*', 'blue', false],
  ['*-blue', 'team-blue', true],
  ['*-blue', 'team-blue-1', false],
  ['t?am', 'team', true],
  ['t?am', 'tam', false],
  ['*a*b*', 'xxaxxbxx', true],
  ['*a*b*', 'xxbxxaxx', false],
  ['**', 'x', true],
  ['a*a', 'a', false],
  ['blue', '', false],
];
for (const [pattern, namespace, expected] of rows) t.equal(matchesNamespace(pattern, namespace), expected, `${pattern} and "${namespace}"`);
t.notOk(matchesNamespace('*a'.repeat(31), 'a'.repeat(63).replace(/.$/, 'b')), 'many stars take no exponential time');

for (const text of ['blue', 'blue-*', '*', '?', 'a-1']) t.ok(isNamespacePattern(text), `${text} is a pattern`);
for (const text of ['', 'Blue', 'a.b', 'a b', 'a/b', '[a]', 'a|b', '^a$', 'a'.repeat(64)]) t.notOk(isNamespacePattern(text), `"${text}" is no pattern`);

t.test('matchesNamespace() agrees with a regular expression', (t) => {
  const seed = testSeed();
  t.comment(`WEFT_TEST_SEED=${seed}`);
  const random = randomFrom(seed);
  const word = (letters: string, lengthMax: number): string => Array.from({ length: random(lengthMax + 1) }, () => letters.charAt(random(letters.length))).join('');
  let matched = 0;
  for (let round = 0; round < 10_000; round++) {
    const pattern = word('ab*?', 6);
    const namespace = word('ab', 8);
    const expected = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`).test(namespace);
    if (expected) matched++;
    if (matchesNamespace(pattern, namespace) !== expected) t.fail(`${pattern} and "${namespace}": not ${expected}`);
  }
  t.ok(matched > 500, `${matched} of the random pairs matched`);
  t.end();
});
