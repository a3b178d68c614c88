/** The Internet checksum (RFC 1071). Pure. */

/** The ones' complement sum of the bytes as 16-bit words, the last one padded with zero; 0 to 0xffff. `from` is the sum of what stands before them. */
export function onesComplementSum(bytes: Uint8Array, from = 0): number {
  let sum = from;
  for (let at = 0; at + 1 < bytes.length; at += 2) sum += ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  if (bytes.length % 2 === 1) sum += (bytes[bytes.length - 1] as number) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/** What a checksum field holds for bytes of this sum. */
export function complementOf(sum: number): number {
  return ~sum & 0xffff;
}
