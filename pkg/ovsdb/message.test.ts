import t from 'tap';
import { decodeMessage, encodeRequest, encodeResponse } from './message.ts';

const garbled = { name: 'WeftError', kind: 'garbled' } as const;

t.test('a message is what it must have', async (t) => {
  const rows: readonly (readonly [string, object])[] = [
    ['{"id":7,"method":"echo","params":[1]}', { kind: 'request', id: 7, method: 'echo', params: [1] }],
    ['{"id":"echo","method":"echo","params":[]}', { kind: 'request', id: 'echo', method: 'echo', params: [] }],
    ['{"id":null,"method":"update2","params":[1,{}]}', { kind: 'notification', method: 'update2', params: [1, {}] }],
    ['{"method":"update2","params":[]}', { kind: 'notification', method: 'update2', params: [] }],
    ['{"id":3,"result":{},"error":null}', { kind: 'response', id: 3, result: {}, error: null }],
    ['{"id":3,"error":"unknown method"}', { kind: 'response', id: 3, result: null, error: 'unknown method' }],
  ];
  for (const [text, message] of rows) t.strictSame(decodeMessage(Buffer.from(text)), message, text);
});

t.test('what is none is refused', async (t) => {
  const rows = ['{', '{"a":1,}', '{}', '{"id":null,"result":1}', '{"result":1}', '{"method":1,"params":[]}', '{"method":"a"}', '{"method":"a","params":{}}'];
  for (const text of rows) t.throws(() => decodeMessage(Buffer.from(text)), garbled, text);
  t.throws(() => decodeMessage(Buffer.from('7b2261223a22ff227d', 'hex')), garbled, 'no UTF-8');
});

t.test('what is sent is what the other side reads', async (t) => {
  t.strictSame(decodeMessage(Buffer.from(encodeRequest({ id: 1, method: 'transact', params: ['db', {}] }))), { kind: 'request', id: 1, method: 'transact', params: ['db', {}] });
  t.strictSame(decodeMessage(Buffer.from(encodeResponse({ id: 'x', result: [1], error: null }))), { kind: 'response', id: 'x', result: [1], error: null });
});
