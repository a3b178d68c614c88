import t from 'tap';
import { parseNodeConf } from './node-conf.ts';
import { pathDefaults, type PathConf } from './path-conf.ts';

const file = '/etc/weft/weft.yaml';

function pathOf(keys: string): PathConf | undefined {
  return parseNodeConf(`path: {${keys}}\n`, file).pathProbes;
}

t.test('what is left out has its default', async (t) => {
  t.same(pathOf(''), pathDefaults);
  t.same(pathDefaults, { probe: true, port: 24790, intervalSeconds: 2, act: 'lower' });
  for (const text of ['', 'path:\n', 'path: null\n']) t.notOk('pathProbes' in parseNodeConf(text, file), 'the defaults are in force');
  t.equal(parseNodeConf('path: {}\n', file).path, file, "the file's own path is another thing");
});

t.test('what is written counts', async (t) => {
  t.same(pathOf('probe: false, port: 1, intervalSeconds: 3600, act: report, mtuMin: 1500'), { probe: false, port: 1, intervalSeconds: 3600, act: 'report', mtuMin: 1500 });
  t.same(pathOf('mtuMin: null, act: lower'), pathDefaults);
});

t.test('what is wrong is refused', async (t) => {
  const rows: readonly (readonly [string, number, RegExp])[] = [
    ['probe: 1', 7, /^\S+ line 1: path\.probe must be true or false: current value is 1$/],
    ['probe: "true"', 7, /path\.probe must be true or false/],
    ['port: 0', 7, /path\.port must be a whole number from 1 to 65535: current value is 0$/],
    ['port: 65536', 7, /path\.port must be a whole number/],
    ['intervalSeconds: 0', 7, /path\.intervalSeconds must be a whole number from 1 to 3600/],
    ['intervalSeconds: 1.5', 7, /path\.intervalSeconds must be a whole number/],
    ['act: raise', 7, /path\.act must be lower or report: current value is "raise"$/],
    ['act: true', 7, /path\.act must be lower or report: current value is true$/],
    ['mtuMin: 575', 7, /path\.mtuMin must be a whole number from 576 to 65535: current value is 575$/],
    ['interval: 5', 2, /unknown key "path\.interval": the nearest known key is "path\.\w+"$/],
    ['prot: 1', 2, /unknown key "path\.prot": the nearest known key is "path\.port"$/],
  ];
  for (const [keys, cniCode, message] of rows) t.throws(() => pathOf(keys), { cniCode, message }, keys);
  for (const text of ['path: 1\n', 'path: /etc\n', 'path: []\n']) t.throws(() => parseNodeConf(text, file), { cniCode: 7, message: /path must be an object/ }, text);
  t.throws(() => parseNodeConf('pathProbes: {}\n', file), { cniCode: 2, message: /unknown key "pathProbes"/ });
});

t.test('it is no key of tenants', async (t) => {
  t.throws(() => parseNodeConf('tenants: [{ name: blue, path: {} }]', file), { cniCode: 2, message: /unknown key "tenants\[0\]\.path"/ });
});
