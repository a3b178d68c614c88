import t from 'tap';
import { fnv1a32, fnv1a64 } from './fnv.ts';

// The vectors of draft-eastlake-fnv, appendix C.
const vectors = [
  { text: '', bits32: 0x811c9dc5, bits64: 0xcbf29ce484222325n },
  { text: 'a', bits32: 0xe40c292c, bits64: 0xaf63dc4c8601ec8cn },
  { text: 'foobar', bits32: 0xbf9cf968, bits64: 0x85944171f73967e8n },
];

t.test('FNV-1a has the values of its published vectors', (t) => {
  for (const { text, bits32, bits64 } of vectors) {
    t.equal(fnv1a32(Buffer.from(text)), bits32, `32 bits of "${text}"`);
    t.equal(fnv1a64(Buffer.from(text)), bits64, `64 bits of "${text}"`);
  }
  t.end();
});
