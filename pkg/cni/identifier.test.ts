import t from 'tap';
import { isIdentifier } from './identifier.ts';

const rows: readonly (readonly [string, boolean])[] = [
  ['a', true], ['9', true], ['a_b.c-D', true], ['3f6940ab5ab43bc522569d15b23f8c1bbde1d7678b080398506924fc01d72755', true],
  ['', false], ['-a', false], ['.a', false], ['..', false], ['_a', false], ['a/b', false], ['a b', false], ['a\n', false],
  ['a\0', false], ['é', false], ['a:b', false], ['a$(id)', false], ['a;b', false], ['ａ', false],
];
for (const [text, expected] of rows) t.equal(isIdentifier(text), expected, `identifier ${JSON.stringify(text)}`);
