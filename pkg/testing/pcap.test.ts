import t from 'tap';
import { PcapReader } from './pcap.ts';

const frames = [Buffer.from('first frame'), Buffer.alloc(0), Buffer.from('third')];

t.test('PcapReader puts frames together, whatever the pieces and the byte order', async (t) => {
  for (const isLittleEndian of [true, false]) {
    const file = captureFile(frames, isLittleEndian);
    for (let pieceBytes = 1; pieceBytes <= file.length; pieceBytes += 1) {
      const reader = new PcapReader();
      const read: Buffer[] = [];
      for (let at = 0; at < file.length; at += pieceBytes) read.push(...reader.push(file.subarray(at, at + pieceBytes)));
      t.same(read, frames, `${isLittleEndian ? 'little' : 'big'} endian in pieces of ${pieceBytes}`);
    }
  }
});

t.test('PcapReader keeps back an unfinished frame', async (t) => {
  const file = captureFile(frames, true);
  t.same(new PcapReader().push(file.subarray(0, file.length - 1)), frames.slice(0, 2));
});

t.test('PcapReader refuses what is no capture file', async (t) => {
  t.throws(() => new PcapReader().push(Buffer.from('tcpdump: eth0: no such device')), /must begin with a1b2c3d4/);
});

function captureFile(contents: readonly Buffer[], isLittleEndian: boolean): Buffer {
  const header = Buffer.alloc(24);
  if (isLittleEndian) header.writeUInt32LE(0xa1b2c3d4, 0);
  else header.writeUInt32BE(0xa1b2c3d4, 0);
  const records = contents.flatMap((content) => {
    const record = Buffer.alloc(16);
    if (isLittleEndian) record.writeUInt32LE(content.length, 8);
    else record.writeUInt32BE(content.length, 8);
    return [record, content];
  });
  return Buffer.concat([header, ...records]);
}
