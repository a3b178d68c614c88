import t from 'tap';
import { readSettings } from './settings.ts';

t.test('readSettings()', async (t) => {
  t.match(readSettings(undefined), { rounds: 200, aloneEvery: 10, burstRounds: 10, memoryCalls: 1000, endpointRounds: 50, ovsEndpoints: [10, 100, 500], ovsLoadRounds: 25, ovsRemotes: 10_000 });
  t.match(readSettings(''), { rounds: 200 });
  t.match(readSettings('5'), { rounds: 5, aloneEvery: 2, burstRounds: 2, memoryCalls: 25, endpointRounds: 5 });
  for (const text of ['0', '4', '-1', '1.5', 'many', 'NaN']) t.throws(() => readSettings(text), { name: 'RangeError', message: new RegExp(`from 5 up: current value is ${text}`) }, text);
});
