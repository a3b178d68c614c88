import t from 'tap';
import { networkNameOf } from './network-name.ts';

t.equal(networkNameOf({ name: 'blue', vni: 'wrong', nonsense: true }), 'blue', 'nothing else is looked at');
for (const name of [undefined, null, '', 7, {}, [], '../etc', '-x', 'a b', 'a/b', 'blue\n']) t.equal(networkNameOf({ name }), undefined, JSON.stringify(name));
t.equal(networkNameOf({}), undefined);
