import t from 'tap';
import { queueLengthOf, tokenBucketOf } from './shaper.ts';

const rows = [
  { name: '50 Mbit/s, no burst asked for: what passes in 25 ms; cut is what lasts more than one', limit: { rateBits: 50_000_000 }, mtu: 1450, bucket: { rate: 6_250_000n, burst: 156_250, limit: 468_750, packetMax: 6250 } },
  { name: '10 Gbit/s', limit: { rateBits: 10_000_000_000 }, mtu: 1450, bucket: { rate: 1_250_000_000n, burst: 31_250_000, limit: 93_750_000, packetMax: 1_250_000 } },
  { name: 'a small rate', limit: { rateBits: 1_000_000 }, mtu: 1450, bucket: { rate: 125_000n, burst: 32_768, limit: 39_018, packetMax: 2936 } },
  { name: 'the burst that is asked for', limit: { rateBits: 8_000_000, burstBits: 80_000 }, mtu: 1450, bucket: { rate: 1_000_000n, burst: 10_000, limit: 60_000, packetMax: 2936 } },
  { name: 'one that would drop every packet', limit: { rateBits: 8_000_000, burstBits: 8000 }, mtu: 8950, bucket: { rate: 1_000_000n, burst: 17_936, limit: 67_936, packetMax: 17_936 } },
  { name: 'more than 32 bits of bytes a second', limit: { rateBits: 8 * 2 ** 33 }, mtu: 1450, bucket: { rate: 2n ** 33n, burst: 214_748_365, limit: 644_245_095, packetMax: 8_589_935 } },
  { name: 'so much that 32 bits end', limit: { rateBits: Number.MAX_SAFE_INTEGER }, mtu: 1450, bucket: { rate: 1_125_899_906_842_623n, burst: 0xffffffff, limit: 0xffffffff, packetMax: 0xffffffff } },
  { name: 'a bit a second', limit: { rateBits: 1, burstBits: 1 }, mtu: 1450, bucket: { rate: 1n, burst: 2936, limit: 2937, packetMax: 2936 } },
];

t.test('tokenBucketOf() turns bits into bytes, and lets a limit be one', (t) => {
  for (const { name, limit, mtu, bucket } of rows) t.same(tokenBucketOf(limit, mtu), bucket, name);
  t.end();
});

t.test('queueLengthOf() is 50 ms of usual packets', (t) => {
  t.equal(queueLengthOf({ rateBits: 1_000_000_000 }), 4167);
  t.equal(queueLengthOf({ rateBits: 1_000_000 }), 100, 'a window of TCP at least');
  t.equal(queueLengthOf({ rateBits: Number.MAX_SAFE_INTEGER }), 10_000);
  t.end();
});
