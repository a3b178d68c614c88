import t from 'tap';
import { parseMac } from '../../netaddr/netaddr.ts';
import type { Integrity } from './frame.ts';
import { PieceCollector } from './pieces.ts';

const from = parseMac('02:77:c0:00:02:01');

function piece(question: number, numbers: readonly number[], integrity: Integrity = 'intact'): Parameters<PieceCollector['take']>[0] {
  const nonce = Buffer.alloc(8);
  nonce.writeUInt32BE(question);
  return { kind: 'pieces', from, nonce, integrity, frameBytes: 438, numbers, of: 4 };
}

const collector = new PieceCollector();
const taken = (...args: Parameters<typeof piece>): Integrity | undefined => collector.take(piece(...args));
t.same([taken(1, [0]), taken(1, [2]), taken(1, [2]), taken(1, [1]), taken(1, [3])], [undefined, undefined, undefined, undefined, 'intact'], 'in any order, with doubles');
t.equal(taken(1, [3]), undefined, 'once');
t.equal(taken(2, [0, 1, 2, 3]), 'intact', 'in one piece');
t.same([taken(3, [0]), taken(3, [1], 'corrupt'), taken(3, [2]), taken(3, [1, 3])], [undefined, 'corrupt', undefined, undefined], 'the first bad one decides');
taken(4, [0, 1, 2]);
for (let question = 100; question < 164; question += 1) taken(question, [0]);
t.equal(taken(4, [3]), undefined, 'of too many questions the oldest is forgotten');
