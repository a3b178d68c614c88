import t from 'tap';
import { randomFrom, testSeed } from '../testing/random.ts';
import { answerBytesMax, elsewhereReasons, encodeFrame, encodeRequest, FrameDecoder, type Frame, type ProtocolFault } from './protocol.ts';

const accepted = encodeFrame({ kind: 'accepted' });
const answered = encodeFrame({ kind: 'answered', status: 1, body: '{"code":7,"msg":"grün"}' });
const elsewhere = encodeFrame({ kind: 'elsewhere', status: elsewhereReasons.tooBusy, body: 'too busy' });

function decode(bytes: Uint8Array): readonly Frame[] {
  return new FrameDecoder().push(bytes);
}

/** A frame's header by hand. */
function raw({ magic = 'WEFT', version = 1, kind = 0x82, status = 0, bodyBytes = 0 }: { magic?: string; version?: number; kind?: number; status?: number; bodyBytes?: number }): Buffer {
  const header = Buffer.alloc(16);
  header.write(magic, 'latin1');
  header.writeUInt16LE(version, 4);
  header.writeUInt16LE(kind, 6);
  header.writeUInt32LE(status, 8);
  header.writeUInt32LE(bodyBytes, 12);
  return header;
}

t.test('the bytes are those of the format', async (t) => {
  t.equal(accepted.toString('latin1'), 'WEFT\x01\0\x81\0\0\0\0\0\0\0\0\0');
  t.equal(encodeFrame({ kind: 'answered', status: 0x01020304, body: 'ab' }).toString('latin1'), 'WEFT\x01\0\x82\0\x04\x03\x02\x01\x02\0\0\0ab');
  t.equal(encodeFrame({ kind: 'elsewhere', status: 4, body: Uint8Array.of(0, 255) }).toString('latin1'), 'WEFT\x01\0\x83\0\x04\0\0\0\x02\0\0\0\0\xff');
});

t.test('what was encoded is what is decoded', async (t) => {
  t.same(decode(accepted), [{ kind: 'accepted', status: 0, body: Buffer.alloc(0) }]);
  t.same(decode(Buffer.concat([accepted, answered])), [
    { kind: 'accepted', status: 0, body: Buffer.alloc(0) },
    { kind: 'answered', status: 1, body: Buffer.from('{"code":7,"msg":"grün"}') },
  ], 'two frames in one chunk');
  t.same(decode(elsewhere), [{ kind: 'elsewhere', status: 4, body: Buffer.from('too busy') }]);
  const large = Buffer.alloc(answerBytesMax, 'x');
  t.ok(decode(encodeFrame({ kind: 'answered', status: 2 ** 32 - 1, body: large }))[0]?.body.equals(large));
});

t.test('frames in pieces of any size', async (t) => {
  const seed = testSeed();
  t.comment(`WEFT_TEST_SEED=${seed}`);
  const random = randomFrom(seed);
  for (let round = 0; round < 300; round += 1) {
    const body = Buffer.from(Array.from({ length: random(10_000) }, () => random(256)));
    const bytes = Buffer.concat([accepted, encodeFrame({ kind: 'answered', status: 1, body })]);
    const decoder = new FrameDecoder();
    const frames: Frame[] = [];
    for (let at = 0; at < bytes.length;) {
      const size = 1 + random(1 + random(bytes.length));
      frames.push(...decoder.push(bytes.subarray(at, at + size)));
      at += size;
    }
    t.same(frames.map(({ kind }) => kind), ['accepted', 'answered']);
    t.ok(frames[1]?.body.equals(body));
  }
});

t.test('how far an answer is', async (t) => {
  const decoder = new FrameDecoder();
  t.same([decoder.isAccepted, decoder.isDone], [false, false]);
  t.throws(() => decoder.end(), { name: 'ProtocolError', fault: 'truncated', message: /before it had begun/ });
  decoder.push(accepted);
  t.same([decoder.isAccepted, decoder.isDone], [true, false]);
  t.throws(() => decoder.end(), { name: 'ProtocolError', fault: 'truncated', message: /after it had begun/ });
  decoder.push(answered.subarray(0, 20));
  t.equal(decoder.isDone, false);
  decoder.push(answered.subarray(20));
  t.same([decoder.isAccepted, decoder.isDone], [true, true]);
  t.throws(() => decoder.push(accepted), { name: 'ProtocolError', fault: 'malformed', message: /must end with its last frame: 16 bytes follow it/ });
});

const hostileRows: readonly (readonly [name: string, bytes: Buffer, fault: ProtocolFault])[] = [
  ['garbage', Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), 'foreign'],
  ['another version', raw({ version: 2 }), 'version'],
  ['a request', encodeRequest({ kind: 'call', env: {}, stdin: '' }), 'kind'],
  ['a kind that is not known', raw({ kind: 0x84 }), 'kind'],
  ['a body that is too large', raw({ bodyBytes: answerBytesMax + 1 }), 'tooLarge'],
  ['a body of 4 GiB', raw({ bodyBytes: 2 ** 32 - 1 }), 'tooLarge'],
  ['accepted with a body', raw({ kind: 0x81, bodyBytes: 1 }), 'tooLarge'],
  ['accepted twice', Buffer.concat([accepted, accepted]), 'malformed'],
  ['elsewhere after accepted', Buffer.concat([accepted, elsewhere]), 'malformed'],
  ['answered twice', Buffer.concat([answered, answered]), 'malformed'],
  ['bytes behind the last', Buffer.concat([elsewhere, Buffer.from('\n')]), 'malformed'],
];
for (const [name, bytes, fault] of hostileRows) t.throws(() => decode(bytes), { name: 'ProtocolError', fault }, name);

t.throws(() => encodeFrame({ kind: 'accepted', body: 'x' }), { name: 'ProtocolError', fault: 'tooLarge' }, 'nobody sends what is refused');
t.throws(() => encodeFrame({ kind: 'answered', body: Buffer.alloc(answerBytesMax + 1) }), { name: 'ProtocolError', fault: 'tooLarge' });
t.throws(() => encodeFrame({ kind: 'answered', status: -1 }), RangeError);
t.equal(new Set(Object.values(elsewhereReasons)).size, Object.keys(elsewhereReasons).length, 'every reason has a number of its own');
