/**
 * FNV-1a (Fowler, Noll and Vo; draft-eastlake-fnv): short names and numbers made of longer ones. It spreads well and
 * withstands nobody: whoever uses it must be able to live with a collision, or detect it.
 */

const offsetBasis32 = 0x811c9dc5;
const prime32 = 0x01000193;
const offsetBasis64 = 0xcbf29ce484222325n;
const prime64 = 0x100000001b3n;

/** 32 bits. */
export function fnv1a32(bytes: Uint8Array): number {
  let hash = offsetBasis32;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, prime32);
  return hash >>> 0;
}

/** 64 bits. */
export function fnv1a64(bytes: Uint8Array): bigint {
  let hash = offsetBasis64;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * prime64);
  return hash;
}
