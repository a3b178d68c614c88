import t from 'tap';
import { parseVni } from '../netaddr/netaddr.ts';
import { everything, joinScopes, scopeOf, type Scope } from './scope.ts';

const [one, two] = [parseVni(1), parseVni(2)];
const nothing = scopeOf({});

t.test('a scope of parts names these and nothing else', (t) => {
  t.same(scopeOf({ guard: true }), { everything: false, vnis: new Set(), hostIfs: new Set(), guard: true, underlay: false });
  t.same(everything, { ...nothing, everything: true });
  t.end();
});

t.test('joined scopes name what either does', (t) => {
  const rows: readonly (readonly [string, Scope, Scope, Partial<Scope>])[] = [
    ['nothing and nothing', nothing, nothing, {}],
    ['the whole node', everything, scopeOf({ hostIfs: new Set(['weft-p1']) }), { everything: true, hostIfs: new Set(['weft-p1']) }],
    ['segments', scopeOf({ vnis: new Set([one]) }), scopeOf({ vnis: new Set([one, two]) }), { vnis: new Set([one, two]) }],
    ['ports', scopeOf({ hostIfs: new Set(['a']) }), scopeOf({ hostIfs: new Set(['b']) }), { hostIfs: new Set(['a', 'b']) }],
    ['guard and underlay', scopeOf({ guard: true }), scopeOf({ underlay: true }), { guard: true, underlay: true }],
  ];
  for (const [what, a, b, joined] of rows) {
    t.same(joinScopes(a, b), scopeOf(joined), what);
    t.same(joinScopes(b, a), scopeOf(joined), `${what}, the other way round`);
  }
  t.end();
});

t.test('joining changes neither of the two', (t) => {
  const [a, b] = [scopeOf({ hostIfs: new Set(['a']) }), scopeOf({ hostIfs: new Set(['b']) })];
  joinScopes(a, b);
  t.same([a.hostIfs, b.hostIfs], [new Set(['a']), new Set(['b'])]);
  t.end();
});
