import t from 'tap';
import { randomFrom, testSeed } from '../testing/random.ts';
import { MessageSplitter } from './framing.ts';

const garbled = { name: 'WeftError', kind: 'garbled' } as const;

const messages = [
  '{}',
  '{"id":1,"result":[{"a":{"b":[]}}],"error":null}',
  '{"text":"a brace } in a text, a quote \\" and a backslash \\\\"}',
  '{"{\\"}":"\\\\\\"{"}',
  '{"multi-byte":"ż Ж 漢 🧵 \\u007b","}":{}}',
].map((text) => Buffer.from(text));
const stream = Buffer.concat(messages);

t.test('messages one behind the other, whatever the pieces', async (t) => {
  for (let pieceBytes = 1; pieceBytes <= stream.length; pieceBytes += 1) t.same(splitBy(stream, () => pieceBytes), messages, `pieces of ${pieceBytes}`);
  for (let at = 0; at <= stream.length; at += 1) {
    const splitter = new MessageSplitter();
    t.same([...splitter.push(stream.subarray(0, at)), ...splitter.push(stream.subarray(at))], messages, `in two at ${at}`);
  }
});

t.test('random pieces of random messages', async (t) => {
  const seed = testSeed();
  t.comment(`WEFT_TEST_SEED=${seed}`);
  const random = randomFrom(seed);
  const alphabet = ['{', '}', '"', '\\', '[', ']', 'a', 'é', '漢', '🧵', '\n'];
  const text = (): string => Array.from({ length: random(12) }, () => alphabet[random(alphabet.length)]).join('');
  for (let round = 0; round < 200; round += 1) {
    const sent = Array.from({ length: 1 + random(6) }, () => Buffer.from(JSON.stringify({ [text()]: [text(), { [text()]: {} }] })));
    t.same(splitBy(Buffer.concat(sent), () => 1 + random(20)), sent);
  }
});

t.test('whitespace between messages is skipped, and kept within them', async (t) => {
  const splitter = new MessageSplitter();
  t.same(splitter.push(Buffer.from(' \r\n\t{ "a": 1 }\n\n{}\n')).map(String), ['{ "a": 1 }', '{}']);
  t.notOk(splitter.isWithinMessage);
  t.same(splitter.push(Buffer.from('  {')), []);
  t.ok(splitter.isWithinMessage);
});

t.test('anything else between messages is refused, and shown', async (t) => {
  for (const garbage of ['[', '"', 'x', '}', '\0', '\xff', '{}]', 'HTTP/1.1 400 Bad Request']) {
    t.throws(() => new MessageSplitter().push(Buffer.from(garbage, 'latin1')), garbled, garbage);
  }
  t.throws(() => new MessageSplitter().push(Buffer.from('{}SSH-2.0')), /begins with "SSH-2.0"/);
});

t.test('a message has a largest size, however it comes', async (t) => {
  const message = Buffer.from(`{"a":"${'x'.repeat(92)}"}`);
  t.same(new MessageSplitter(100).push(message), [message]);
  t.same(new MessageSplitter(100).push(Buffer.concat([message, message])), [message, message], 'it counts for each message alone');
  t.throws(() => new MessageSplitter(99).push(message), { kind: 'garbled', message: /at most 99 bytes: this has at least 100/ });
  t.throws(() => splitBy(message, () => 10, new MessageSplitter(99)), garbled);
  t.throws(() => new MessageSplitter(99).push(message.subarray(0, 99 + 1)), garbled);
  t.same(splitBy(Buffer.concat([message, message]), () => 10, new MessageSplitter(100)), [message, message]);
});

function splitBy(bytes: Buffer, next: () => number, splitter = new MessageSplitter()): readonly Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < bytes.length;) found.push(...splitter.push(bytes.subarray(at, (at += next()))));
  return found;
}
