import t from 'tap';
import { answerLength, decodeAnswer, encodeRequest } from './spawner-wire.ts';

t.test('encodeRequest()', async (t) => {
  const bytes = encodeRequest([{ executable: '/p', env: { A: '1', B: '' }, stdin: '{"ü":1}' }, { executable: '/q', env: {}, stdin: '' }], 30_000);
  t.equal(bytes.readUInt32LE(0), 2);
  t.equal(bytes.readUInt32LE(4), 30_000);
  t.equal(bytes.readUInt32LE(8), bytes.length - 12);
  t.equal(bytes.toString('utf8', 12), '/p\0{"ü":1}\0A=1\0B=\0\0/q\0\0\0');
  t.throws(() => encodeRequest([{ executable: '/p', env: { A: '1\0B=2' }, stdin: '' }], 1), RangeError);
});

/** An answer by hand. */
function answer(totalNs: bigint, jobs: readonly { ns: bigint; status: number; output: string }[]): Buffer {
  const parts = jobs.map(({ ns, status, output }) => {
    const head = Buffer.alloc(16);
    head.writeBigUInt64LE(ns, 0);
    head.writeUInt32LE(status, 8);
    head.writeUInt32LE(Buffer.byteLength(output), 12);
    return Buffer.concat([head, Buffer.from(output)]);
  });
  const head = Buffer.alloc(12);
  head.writeUInt32LE(8 + Buffer.concat(parts).length, 0);
  head.writeBigUInt64LE(totalNs, 4);
  return Buffer.concat([head, ...parts]);
}

t.test('decodeAnswer()', async (t) => {
  const bytes = answer(7_500_000n, [{ ns: 1_250_000n, status: 0, output: 'grün' }, { ns: 7_000_000n, status: 137, output: '' }]);
  t.equal(answerLength(bytes), bytes.length);
  t.equal(answerLength(bytes.subarray(0, 3)), undefined);
  t.same(decodeAnswer(bytes), { ms: 7.5, jobs: [{ ms: 1.25, exitStatus: 0, output: 'grün' }, { ms: 7, exitStatus: 137, output: '' }] });
  t.throws(() => decodeAnswer(answer(1n, [{ ns: 1n, status: 0, output: 'abc' }]).subarray(0, -1)), RangeError);
  t.throws(() => decodeAnswer(bytes.subarray(0, 20)), RangeError);
});
