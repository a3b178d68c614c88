import t from 'tap';
import { parseMac } from '../../netaddr/netaddr.ts';
import { complementOf, onesComplementSum } from '../../digest/internet-checksum.ts';
import { answerFrame, questionBytesMin, questionFrame, readFrame, segmentedFrame, type Message, type OutgoingFrame } from './frame.ts';

const [near, far] = [parseMac('02:77:c0:00:02:01'), parseMac('02:77:c0:00:02:02')];
const nonce = Buffer.from('0123456789abcdef', 'hex');
const ends = { from: near, to: far, nonce };

function heard(data: Buffer, how: { readonly isUnfinished?: boolean; readonly isTrusted?: boolean } = {}): Message | undefined {
  return readFrame({ data, isUnfinished: false, isTrusted: false, ...how });
}

/** As a device finishes it. */
function finished({ frame, left }: OutgoingFrame): Buffer {
  const copy = Buffer.from(frame);
  if (left !== undefined) copy.writeUInt16BE(complementOf(onesComplementSum(copy.subarray(left.checksumStart))), left.checksumStart + left.checksumOffset);
  return copy;
}

for (const packetBytes of [questionBytesMin, 424, 425, 1450, 8950, 65_535]) {
  const whole = questionFrame(ends, { packetBytes, isLeft: false });
  t.equal(whole.frame.length, 14 + packetBytes);
  t.equal(whole.left, undefined);
  t.match(heard(whole.frame), { kind: 'question', from: near, integrity: 'intact', frameBytes: 14 + packetBytes });
  const left = questionFrame(ends, { packetBytes, isLeft: true });
  t.match(heard(left.frame), { integrity: 'corrupt' }, 'nobody has finished it, and it seems to be so');
  t.match(heard(left.frame, { isUnfinished: true }), { integrity: 'intact' });
  t.match(heard(left.frame, { isTrusted: true }), { integrity: 'intact' }, 'what the kernel takes for right the tenants get');
  t.match(heard(finished(left)), { integrity: 'intact' });
}
for (const packetBytes of [questionBytesMin - 1, 0, 65_536]) t.throws(() => questionFrame(ends, { packetBytes, isLeft: false }), { name: 'RangeError' });

const whole = questionFrame(ends, { packetBytes: 424, isLeft: false });
for (const node of ['node1', 'n'.repeat(64), 'n'.repeat(65), 'Knoten\u001b[31m', '']) {
  const answer = answerFrame({ from: far, to: near, nonce }, { integrity: 'corrupt', node, bytesMax: whole.frame.length });
  t.ok(answer.frame.length <= whole.frame.length, 'no answer is longer than its question');
  const isSaid = /^\w{1,64}$/.test(node);
  t.same(heard(answer.frame), { kind: 'answer', from: far, nonce, integrity: 'corrupt', ...(isSaid ? { node } : {}) });
}
const least = questionFrame(ends, { packetBytes: questionBytesMin, isLeft: false });
const short = answerFrame({ from: far, to: near, nonce }, { integrity: 'intact', node: 'node1', bytesMax: least.frame.length });
t.ok(short.frame.length <= least.frame.length);
t.same(heard(short.frame), { kind: 'answer', from: far, nonce, integrity: 'intact' });

const large = segmentedFrame(ends, { pieces: 8, pieceBytes: 384 });
t.same(large.left?.segments, { kind: 'tcp4', headerBytes: 54, payloadBytes: 384 });
t.match(heard(large.frame, { isUnfinished: true }), { kind: 'pieces', integrity: 'intact', numbers: [0, 1, 2, 3, 4, 5, 6, 7], of: 8 }, 'in one piece, where nobody cuts');

/** A frame with bytes changed and its checksum right. */
function changed(frame: Buffer, change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(frame);
  change(copy);
  return copy;
}
const hostile: readonly (readonly [string, Buffer])[] = [
  ['nothing', Buffer.alloc(0)],
  ['a head that is cut', whole.frame.subarray(0, 14 + 20 + 8 + 10)],
  ['a packet that claims more than there is', changed(whole.frame, (copy) => copy.writeUInt16BE(1500, 16))],
  ['a packet that claims less than its headers', changed(whole.frame, (copy) => copy.writeUInt16BE(20, 16))],
  ['IP options', changed(whole.frame, (copy) => copy.writeUInt8(0x46, 14))],
  ['another protocol', changed(whole.frame, (copy) => copy.writeUInt8(1, 23))],
  ['TCP with a question’s head', changed(whole.frame, (copy) => copy.writeUInt8(6, 23))],
  ['other addresses', changed(whole.frame, (copy) => copy.writeUInt8(10, 26))],
  ['another port', changed(whole.frame, (copy) => copy.writeUInt16BE(53, 36))],
  ['another type', changed(whole.frame, (copy) => copy.writeUInt16BE(0x86dd, 12))],
  ['another version', changed(whole.frame, (copy) => copy.writeUInt8(2, 46))],
  ['an unknown kind', changed(whole.frame, (copy) => copy.writeUInt8(9, 47))],
  ['pieces of no length', changed(large.frame, (copy) => copy.writeUInt16BE(0, 14 + 20 + 20 + 18))],
  ['pieces of none', changed(large.frame, (copy) => copy.writeUInt16BE(0, 14 + 20 + 20 + 16))],
  ['more pieces than there may be', changed(large.frame, (copy) => copy.writeUInt16BE(33, 14 + 20 + 20 + 16))],
  ['pieces of two questions', changed(large.frame, (copy) => copy.writeUInt8(0, 14 + 20 + 20 + 384 + 8))],
  ['an answer with a wrong checksum', changed(short.frame, (copy) => copy.writeUInt8(2, 48))],
  ['an answer with a verdict that is none', answerWith(7)],
];
for (const [what, frame] of hostile) t.equal(heard(frame, { isUnfinished: what.startsWith('pieces') || what.startsWith('more') }), undefined, what);

function answerWith(verdict: number): Buffer {
  const copy = Buffer.from(short.frame);
  copy.writeUInt8(verdict, 48);
  copy.writeUInt16BE(0, 40);
  const pseudo = onesComplementSum(Uint8Array.of(198, 18, 0, 1, 198, 18, 0, 2), 17 + copy.length - 34);
  copy.writeUInt16BE(complementOf(onesComplementSum(copy.subarray(34), pseudo)), 40);
  return copy;
}
