import { randomBytes } from 'node:crypto';
import t from 'tap';
import { answerBytesMax, decodeMessage, encodeAnswer, encodeQuestion, headerBytes, packetBytesMax, packetBytesMin, quotedNonce } from './message.ts';

const nonce = '00112233445566778899aabbccddeeff';

function decoded(bytes: Buffer, wholeBytes = bytes.length): unknown {
  return decodeMessage(bytes, wholeBytes);
}

t.test('a question is as long as it is asked to be', async (t) => {
  for (const size of [answerBytesMax, 1300, 1472, 8972, packetBytesMax - 28]) {
    const question = encodeQuestion(nonce, size);
    t.equal(question.length, size);
    t.same(decoded(question), { kind: 'question', nonce });
    t.same(decoded(question.subarray(0, answerBytesMax), size), { kind: 'question', nonce }, 'its beginning is enough');
  }
  t.equal(encodeQuestion(nonce, 10).length, answerBytesMax, 'never shorter than its answer');
  const filling = encodeQuestion(nonce, 9000).subarray(answerBytesMax);
  t.ok(new Set(filling).size > 200, 'what it is filled with cannot be compressed');
});

t.test('an answer says what came, and who says so', async (t) => {
  for (const node of ['node-1', '', 'Knoten-ä', 'n'.repeat(63)]) {
    t.same(decoded(encodeAnswer({ nonce, receivedBytes: 1472, node })), { kind: 'answer', nonce, receivedBytes: 1472, node });
  }
  const long = encodeAnswer({ nonce, receivedBytes: 1, node: 'ä'.repeat(200) });
  t.ok(long.length <= answerBytesMax && answerBytesMax <= packetBytesMin - headerBytes[6], 'never longer than the shortest question');
  t.match(decoded(long), { node: 'ä'.repeat(31) });
});

t.test('a name cannot write on a terminal', async (t) => {
  t.match(decoded(encodeAnswer({ nonce, receivedBytes: 1, node: 'a\u001b[31m\n\u202eb\u2028' })), { node: 'a?[31m??b?' });
  const broken = encodeAnswer({ nonce, receivedBytes: 1, node: 'xx' });
  broken.writeUInt8(0xff, broken.length - 1);
  t.match(decoded(broken), { node: 'x?' });
});

t.test('what is none of it is none', async (t) => {
  const question = encodeQuestion(nonce, 200);
  const answer = encodeAnswer({ nonce, receivedBytes: 200, node: 'node-1' });
  const changed = (bytes: Buffer, at: number, value: number): Buffer => {
    const copy = Buffer.from(bytes);
    copy.writeUInt8(value, at);
    return copy;
  };
  const rows: readonly (readonly [string, Buffer, number?])[] = [
    ['nothing', Buffer.alloc(0)], ['zeros', Buffer.alloc(200)], ['another first letter', changed(question, 0, 0)], ['a later version', changed(question, 4, 2)],
    ['an unknown kind', changed(question, 5, 3)], ['a short question', question.subarray(0, answerBytesMax - 1)], ['less than its beginning', question, 199],
    ['an answer without an end', answer.subarray(0, -1)], ['an answer with more', Buffer.concat([answer, Buffer.alloc(1)])], ['a cut answer', answer, answer.length + 1],
    ['an answer without a name', answer.subarray(0, 28)],
  ];
  for (const [what, bytes, wholeBytes] of rows) t.equal(decoded(bytes, wholeBytes), undefined, what);
  // None of these may throw.
  for (let count = 0; count < 2000; count += 1) {
    const bytes = Buffer.concat([Buffer.from('weft\x01'), randomBytes(count % 120)]);
    decoded(bytes);
  }
});

t.test('what a router quotes', async (t) => {
  t.equal(quotedNonce(encodeQuestion(nonce, 1472).subarray(0, 548)), nonce, 'RFC 1812 §4.3.2.3');
  t.equal(quotedNonce(encodeQuestion(nonce, 1472).subarray(0, 24)), nonce);
  for (const bytes of [encodeQuestion(nonce, 1472).subarray(0, 23), Buffer.alloc(0), Buffer.alloc(548), encodeAnswer({ nonce, receivedBytes: 1, node: 'n' })]) t.equal(quotedNonce(bytes), undefined);
});
