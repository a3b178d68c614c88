/** What a frame on the underlay carries, as far as these tests want to know it. Pure. */

/** A question for somebody's MAC inside a VXLAN packet. */
export interface Question {
  readonly vni: number;
  /** The VTEP that sent it, and the one it is for. */
  readonly from: string;
  readonly to: string;
  readonly kind: 'ARP request' | 'neighbour solicitation';
  /** Whether it was sent to everybody, and not to one MAC. */
  readonly isFlooded: boolean;
  /** The address that is asked for, in hexadecimal digits. */
  readonly target: string;
}

// Offsets in bytes, of Ethernet without a tag, IPv4 (RFC 791), UDP and VXLAN (RFC 7348 §5).
const ethernetBytes = 14;
const ipv4BytesMin = 20;
const udpBytes = 8;
const vxlanBytes = 8;
const ethertypes = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;
const protocols = { udp: 17, icmp6: 58 } as const;
const vxlanPort = 4789;
const arpRequest = 1;
const neighbourSolicitation = 135;

/** What is in a VXLAN packet. */
export interface Carried {
  readonly question?: Question;
}

/** What a frame of the underlay carries; undefined where it is no VXLAN packet over IPv4. */
export function carriedBy(frame: Buffer): Carried | undefined {
  if (frame.length < ethernetBytes + ipv4BytesMin || frame.readUInt16BE(12) !== ethertypes.ipv4 || frame[ethernetBytes + 9] !== protocols.udp) return undefined;
  const udp = ethernetBytes + ((frame[ethernetBytes] ?? 0) & 0x0f) * 4;
  const vxlan = udp + udpBytes;
  if (frame.length < vxlan + vxlanBytes + ethernetBytes || frame.readUInt16BE(udp + 2) !== vxlanPort) return undefined;
  const inner = frame.subarray(vxlan + vxlanBytes);
  const asked = askedIn(inner);
  const addressAt = (offset: number): string => [...frame.subarray(offset, offset + 4)].join('.');
  if (asked === undefined) return {};
  return { question: { vni: frame.readUIntBE(vxlan + 4, 3), from: addressAt(ethernetBytes + 12), to: addressAt(ethernetBytes + 16), isFlooded: ((inner[0] ?? 0) & 1) === 1, ...asked } };
}

function askedIn(inner: Buffer): Pick<Question, 'kind' | 'target'> | undefined {
  const body = inner.subarray(ethernetBytes);
  switch (inner.readUInt16BE(12)) {
    case ethertypes.arp:
      // RFC 826: operation at 6, target protocol address at 24.
      return body.length >= 28 && body.readUInt16BE(6) === arpRequest ? { kind: 'ARP request', target: body.toString('hex', 24, 28) } : undefined;
    case ethertypes.ipv6:
      // RFC 8200 §3: 40 bytes, next header at 6; RFC 4861 §4.3: the target at 8 behind them.
      return body.length >= 64 && body[6] === protocols.icmp6 && body[40] === neighbourSolicitation ? { kind: 'neighbour solicitation', target: body.toString('hex', 48, 64) } : undefined;
    default:
      return undefined;
  }
}
