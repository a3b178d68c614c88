import t from 'tap';
import { hasVerb, isSupportedVersion, requireVerb, requireVersion, verbs, type Verb } from './versions.ts';

const verbsOf: readonly (readonly [string, readonly Verb[]])[] = [
  ['0.1.0', ['ADD', 'DEL']],
  ['0.3.1', ['ADD', 'DEL', 'VERSION']],
  ['0.4.0', ['ADD', 'DEL', 'CHECK', 'VERSION']],
  ['1.0.0', ['ADD', 'DEL', 'CHECK', 'VERSION']],
  ['1.1.0', ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION']],
  ['9.9.9', []],
  ['', []],
];

for (const [version, expected] of verbsOf) {
  t.same(verbs.filter((verb) => hasVerb(version, verb)), expected, `verbs of "${version}"`);
}

for (const version of ['0.4.0', '1.0.0', '1.1.0']) t.equal(requireVersion(version), version, `${version} is spoken`);

const refused: readonly (readonly [unknown, string])[] = [
  [undefined, 'missing, which means "0.1.0"'],
  [null, 'missing, which means "0.1.0"'],
  ['', '""'],
  ['0.3.1', '"0.3.1"'],
  ['1.0', '"1.0"'],
  ['1.1.0 ', '"1.1.0 "'],
  ['2.0.0', '"2.0.0"'],
  [1, '1'],
  [['1.0.0'], 'an array'],
  [{}, 'an object'],
];

for (const [declared, shown] of refused) {
  t.notOk(isSupportedVersion(declared), `${shown} is not spoken`);
  t.throws(() => requireVersion(declared), { cniCode: 1, message: `cniVersion must be one of 0.4.0, 1.0.0, 1.1.0: current value is ${shown}` });
}

t.doesNotThrow(() => requireVerb('0.4.0', 'CHECK'));
t.doesNotThrow(() => requireVerb('1.1.0', 'GC'));
t.throws(() => requireVerb('1.0.0', 'GC'), { cniCode: 1, message: 'cniVersion must be 1.1.0 or newer for GC: current value is "1.0.0"' });
t.throws(() => requireVerb('0.4.0', 'STATUS'), { cniCode: 1, message: /1\.1\.0 or newer for STATUS/ });
