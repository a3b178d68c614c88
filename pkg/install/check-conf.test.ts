import { readFileSync } from 'node:fs';
import t from 'tap';
import { parseNodeConf } from '../config/node-conf.ts';
import { emptyNodeConf } from '../config/node-model.ts';
import { checkConfList } from './check-conf.ts';

const shipped = (name: string): string => readFileSync(new URL(`../../conf/${name}`, import.meta.url), 'utf8');
const byNamespace = parseNodeConf(shipped('weft.yaml'), 'weft.yaml');
const list = (plugins: readonly unknown[], more: object = {}): string => JSON.stringify({ cniVersion: '1.0.0', name: 'pods', plugins, ...more });

t.test('what is right', async (t) => {
  t.same(checkConfList(shipped('10-weft.conflist'), '10-weft.conflist', emptyNodeConf), { chained: [] });
  t.same(checkConfList(list([{ type: 'weft' }, { type: 'portmap', capabilities: { portMappings: true } }]), 'x', byNamespace), { chained: ['portmap'] });
});

t.test('what every pod would be refused for', async (t) => {
  const rows: readonly (readonly [string, RegExp])[] = [
    ['{', /^x is not JSON$/],
    ['[]', /^x: it must be a JSON object/],
    [list([{ type: 'weft' }], { cniVersion: 1 }), /^x: cniVersion must be a string/],
    [list([7]), /^x: plugins must be a list of objects/],
    [JSON.stringify({ cniVersion: '1.0.0', name: 'pods', type: 'weft' }), /^x: plugins must be a list/],
    [list([{}]), /^x: every plugin must have a type/],
    [list([]), /^x: plugins must have one of type weft: there are none/],
    [list([{ type: 'bridge' }]), /^x: plugins must have one of type weft: there are bridge/],
    [list([{ type: 'weft', tenent: 'blue' }]), /^x: .*tenent/],
    [list([{ type: 'weft' }], { name: undefined }), /^x: .*name/],
    [list([{ type: 'weft', tenant: 'purple' }]), /^x: .*vni/],
  ];
  for (const [text, message] of rows) t.throws(() => checkConfList(text, 'x', byNamespace), { message }, text);
  t.throws(() => checkConfList(list([{ type: 'weft' }]), 'x', emptyNodeConf), { message: /^x: / }, 'no tenant, and no namespaces that would choose one');
});
