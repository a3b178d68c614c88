import t from 'tap';
import { entries, type ErrorName } from './catalogue.ts';
import { describeError, describeWithAdvice, isWeftError, WeftError } from './weft-error.ts';

for (const name of Object.keys(entries) as ErrorName[]) t.equal(new WeftError(name, 'x').cniCode, entries[name].cniCode, `${name} has its code`);

const cause = new Error('no space left on device');
const error = new WeftError('ioFailure', 'Cannot write the ledger', { details: 'free some space', cause, cniCode: 42 });
t.match(error, { name: 'WeftError', code: 'ioFailure', cniCode: 42, message: 'Cannot write the ledger', details: 'free some space', cause });
t.equal(new WeftError('internal', 'x').details, '', 'no details are an empty text, as the CNI error object has it');
t.notOk('cause' in new WeftError('internal', 'x'), 'no cause is no property');

t.ok(isWeftError(error));
t.ok(isWeftError(error, 'internal', 'ioFailure'));
t.notOk(isWeftError(error, 'internal'));
t.notOk(isWeftError(cause));
t.notOk(isWeftError({ code: 'ioFailure', cniCode: 5 }), 'what only looks like one');
t.notOk(isWeftError(undefined));

t.equal(describeError(error), 'Cannot write the ledger: no space left on device');
t.equal(describeError(new Error('a', { cause: new Error('b', { cause: 'c' }) })), 'a: b: c');
t.equal(describeError(new TypeError('')), 'TypeError', 'an error without a message is named');
t.equal(describeError('text'), 'text');
t.equal(describeError(undefined), 'undefined');
t.equal(describeError(new Error('a', { cause: null })), 'a: null', 'a cause that is no error');

t.equal(describeWithAdvice(new WeftError('ioFailure', 'Cannot read it', { details: 'make it readable' })), 'Cannot read it: make it readable');
t.equal(describeWithAdvice(new WeftError('ioFailure', 'Cannot read it', { cause: new Error('no disk') })), 'Cannot read it: no disk', 'without details its causes are said all the same');
t.equal(describeWithAdvice('what'), 'what');
