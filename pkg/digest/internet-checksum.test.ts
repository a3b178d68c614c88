import t from 'tap';
import { complementOf, onesComplementSum } from './internet-checksum.ts';

// RFC 1071 §3.
t.equal(onesComplementSum(Buffer.from('0001f203f4f5f6f7', 'hex')), 0xddf2);
t.equal(onesComplementSum(Buffer.from('0001f203f4f5f6', 'hex')), onesComplementSum(Buffer.from('0001f203f4f5f600', 'hex')));
t.equal(complementOf(0xddf2), 0x220d);
