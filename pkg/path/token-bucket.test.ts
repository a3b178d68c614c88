import t from 'tap';
import { TokenBucket } from './token-bucket.ts';

const bucket = new TokenBucket({ perSecond: 10, burst: 3 });
const taken = (now: number, count: number): number => Array.from({ length: count }, () => bucket.take(now)).filter((isAllowed) => isAllowed).length;

t.equal(taken(1000, 10), 3, 'at once');
t.equal(taken(1050, 10), 0);
t.equal(taken(1100, 10), 1, 'a tenth of a second later');
t.equal(taken(1400, 10), 3);
t.equal(taken(100_000, 10), 3, 'never more than the burst');
t.equal(taken(0, 10), 0, 'a clock that goes back gives nothing');
