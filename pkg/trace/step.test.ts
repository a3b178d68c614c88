import { readFileSync } from 'node:fs';
import t from 'tap';
import { stepIds, Walk } from './step.ts';

const page = readFileSync(new URL('../../docs/trace.md', import.meta.url), 'utf8');
const [, steps = ''] = page.split('## Steps');
const described = [...steps.matchAll(/^\| ((?:`[a-z-]+`(?:, )?)+) \|/gm)].flatMap(([, cell = '']) => cell.split(', ').map((id) => id.replaceAll('`', '')));
t.same(described.toSorted(), stepIds.toSorted(), 'docs/trace.md has each step');
t.equal(new Set(stepIds).size, stepIds.length);

const walk = new Walk();
walk.require(true, 'guard', { good: 'open', bad: 'closed', show: 'nft' });
t.throws(() => walk.require(false, 'fdb', { good: 'known', bad: 'unknown', show: 'bridge' }));
t.match(walk.steps, [{ id: 'guard', outcome: 'ok', what: 'open' }, { id: 'fdb', outcome: 'stops', what: 'unknown', fix: /daemon/ }]);
t.throws(() => walk.lose('fdb', { what: 'x', show: 'y' }));
