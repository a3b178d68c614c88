import t from 'tap';
import { run } from '../testing/command.ts';
import { skipUnless } from '../testing/requirements.ts';
import { decodeRefusal } from './refusal.ts';

/** The body of an error message: type, code, and an experimenter's number. */
function body(type: number, code: number, experimenter?: number): Buffer {
  const bytes = Buffer.alloc(experimenter === undefined ? 4 : 8);
  bytes.writeUInt16BE(type, 0);
  bytes.writeUInt16BE(code, 2);
  if (experimenter !== undefined) bytes.writeUInt32BE(experimenter, 4);
  return bytes;
}

t.same(decodeRefusal(body(4, 9)), { name: 'OFPBMC_BAD_PREREQ', words: 'a field that another depends on is missing' });
t.same(decodeRefusal(body(0xffff, 2313, 0x4f4e4600)), { name: 'OFPBFC_MSG_FAILED', words: 'a message in the bundle was refused' });
t.same(decodeRefusal(body(0xffff, 2, 0x2320)), { name: 'NXBRC_NXM_INVALID', words: 'a field of the match is malformed' });
for (const unknown of [body(99, 1), body(4, 99), body(0xffff, 2299, 0x4f4e4600), body(0xffff, 2313, 0x1234), body(0xffff, 9999, 0x2320)]) {
  t.match(decodeRefusal(unknown), { name: /^error \d+\/\d+$/, words: 'it gives a reason that weft does not know' });
}
for (const short of [Buffer.alloc(0), Buffer.alloc(3), body(0xffff, 1)]) t.throws(() => decodeRefusal(short), RangeError);

/** Names that OpenFlow 1.3 has and Open vSwitch, which follows earlier and later versions, writes differently. */
const otherNames: Readonly<Record<string, string>> = {
  OFPBRC_BAD_MULTIPART: 'OFPBRC_BAD_STAT',
  OFPBRC_BAD_EXPERIMENTER: 'OFPBRC_BAD_VENDOR',
  OFPBRC_BAD_EXP_TYPE: 'OFPBRC_BAD_SUBTYPE',
  OFPBAC_BAD_EXPERIMENTER: 'OFPBAC_BAD_VENDOR',
  OFPBAC_BAD_EXP_TYPE: 'OFPBAC_BAD_VENDOR_TYPE',
};

t.test('the names are those of Open vSwitch', { skip: skipUnless({ tools: ['ovs-ofctl'] }) }, (t) => {
  const counts = [2, 14, 16, 9, 12, 8, 15];
  const standard = counts.flatMap((count, type) => Array.from({ length: count }, (_, code) => body(type, code)));
  const bundle = Array.from({ length: 16 }, (_, code) => body(0xffff, 2300 + code, 0x4f4e4600));
  const nicira = [2, 3, 4, 11, 12, 13].map((code) => body(0xffff, code, 0x2320));
  for (const error of [...standard, ...bundle, ...nicira]) {
    const { name } = decodeRefusal(error);
    const header = Buffer.from([4, 1, 0, 8 + error.length, 0, 0, 0, 7]);
    const printed = run('ovs-ofctl', ['ofp-print', Buffer.concat([header, error]).toString('hex')]);
    t.match(printed, new RegExp(`OFPT_ERROR \\(OF1.3\\) \\(xid=0x7\\): ${otherNames[name] ?? name}\\b`), name);
  }
  t.end();
});
