import t from 'tap';
import { tokenBucketOf } from './bandwidth.ts';

const rows = [
  { name: '50 Mbit/s, no burst asked for', limit: { rateBits: 50_000_000 }, bucket: { rate: 6_250_000n, burst: 131_072, limit: 287_322 } },
  { name: '10 Gbit/s: a burst of 10 ms', limit: { rateBits: 10_000_000_000 }, bucket: { rate: 1_250_000_000n, burst: 12_500_000, limit: 43_750_000 } },
  { name: 'the burst that is asked for', limit: { rateBits: 8_000_000, burstBits: 80_000 }, bucket: { rate: 1_000_000n, burst: 10_000, limit: 35_000 } },
  { name: 'more than 32 bits of bytes a second', limit: { rateBits: 8 * 2 ** 33 }, bucket: { rate: 2n ** 33n, burst: 85_899_346, limit: 300_647_711 } },
  { name: 'so much that 32 bits end', limit: { rateBits: Number.MAX_SAFE_INTEGER }, bucket: { rate: 1_125_899_906_842_623n, burst: 0xffffffff, limit: 0xffffffff } },
  { name: 'a bit a second', limit: { rateBits: 1, burstBits: 1 }, bucket: { rate: 1n, burst: 1, limit: 2 } },
];

t.test('tokenBucketOf() turns bits into bytes, and lets a limit be one', (t) => {
  for (const { name, limit, bucket } of rows) t.same(tokenBucketOf(limit), bucket, name);
  t.end();
});
