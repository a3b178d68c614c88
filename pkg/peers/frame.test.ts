import t from 'tap';
import { encodeFrame, FrameDecoder, frameBytesMax } from './frame.ts';

const values = [null, 1, 'äöü', { a: [1, { b: null }] }, 'x'.repeat(frameBytesMax - 2)];
const stream = Buffer.concat(values.map(encodeFrame));

t.same(encodeFrame('ä'), Buffer.from([0, 0, 0, 4, 0x22, 0xc3, 0xa4, 0x22]));
t.same(new FrameDecoder().push(stream), values, 'all at once');

t.test('however it is cut', (t) => {
  for (const size of [1, 2, 3, 5, 7, 1000, 65_537]) {
    const decoder = new FrameDecoder();
    const got: unknown[] = [];
    for (let at = 0; at < stream.length; at += size) got.push(...decoder.push(stream.subarray(at, at + size)));
    t.same(got, values, `pieces of ${size}`);
  }
  t.end();
});

t.throws(() => encodeFrame('x'.repeat(frameBytesMax - 1)), { name: 'RangeError', message: 'a message must have at most 65536 bytes: current value is 65537' });
t.throws(() => new FrameDecoder().push(Buffer.from([0, 1, 0, 1])), { name: 'RangeError', message: /current value is 65537$/ }, 'before any of it has come');
t.same(new FrameDecoder().push(Buffer.from([0, 1, 0, 0])), [], 'the longest is waited for');
t.throws(() => new FrameDecoder().push(Buffer.from([0, 0, 0, 0])), { name: 'SyntaxError' });
t.throws(() => new FrameDecoder().push(Buffer.from([0, 0, 0, 1, 0xff])), { name: 'TypeError' }, 'no UTF-8');
