import t from 'tap';
import { entries, type ErrorName } from '../errors/catalogue.ts';
import { WeftError } from '../errors/weft-error.ts';
import { encodeFrame } from './frame.ts';
import { errorOf, failureOf, parseMessage } from './message.ts';

const failure = { code: 'tryAgainLater', message: 'm', details: '', isRetryable: true };
for (const message of [
  { kind: 'hello', version: 1, node: 'node-1' },
  { kind: 'ask', id: 1, body: null },
  { kind: 'ping', id: 1 },
  { kind: 'answer', id: 9007199254740991, body: { a: [] } },
  { kind: 'failure', id: 2, failure },
]) t.same(parseMessage(message), message);

for (const value of [
  null, 1, 'x', [], {}, { kind: 'x' }, { kind: 'toString' },
  { kind: 'hello', version: '1', node: 'n' }, { kind: 'hello', version: 0, node: 'n' }, { kind: 'hello', version: 1, node: '' }, { kind: 'hello', version: 1, node: 'n'.repeat(256) }, { kind: 'hello', version: 1, node: 'a\u001b[2J' },
  { kind: 'ping' }, { kind: 'ask', id: 1 }, { kind: 'ask', id: 1.5, body: 1 }, { kind: 'ask', id: -1, body: 1 }, { kind: 'ask', id: 2 ** 53, body: 1 }, { kind: 'ask', id: '1', body: 1 },
  { kind: 'failure', id: 1 }, { kind: 'failure', id: 1, failure: { ...failure, message: 1 } }, { kind: 'failure', id: 1, failure: { ...failure, isRetryable: undefined } },
]) t.throws(() => parseMessage(value), { name: 'SyntaxError' }, JSON.stringify(value));

for (const code of Object.keys(entries) as ErrorName[]) {
  t.match(errorOf(failureOf(new WeftError(code, 'words', { details: 'more' }))), { code, cniCode: entries[code].cniCode, message: 'words', details: 'more' });
}
t.match(errorOf({ ...failure, code: 'newInVersion9' }), { code: 'tryAgainLater', message: 'm' }, 'of a newer weft, which says whether to try again');
t.match(errorOf({ ...failure, code: 'newInVersion9', isRetryable: false }), { code: 'internal', message: 'm' });
t.match(errorOf({ ...failure, code: 'constructor', isRetryable: false }), { code: 'internal' });
t.match(failureOf('text'), { code: 'internal', message: 'the other node failed: text', isRetryable: false });
t.notMatch(JSON.stringify(failureOf(new WeftError('ioFailure', 'words', { cause: new Error('secret cause') }))), /secret/, 'causes stay where they are');
t.doesNotThrow(() => encodeFrame({ kind: 'failure', id: 1, failure: failureOf(new WeftError('internal', '\u0001'.repeat(99_999), { details: '\u0001'.repeat(99_999) })) }), 'it always fits into a frame');
