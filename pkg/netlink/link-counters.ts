/** What links have counted: `ip -s link`, without anything else that is known of them. Pure. */
import { decodeAttributes, type NetlinkMessage, type NetlinkRequest } from './codec.ts';

// include/uapi/linux/rtnetlink.h
const rtmGetStats = 94;
// include/uapi/linux/if_link.h: struct if_stats_msg is family (1), padding (3), index (4), filter_mask (4).
const headerBytes = 12;
const indexOffset = 4;
const filterOffset = 8;
/** IFLA_STATS_LINK_64: struct rtnl_link_stats64. */
const statsLink64 = 1;
/** Positions in struct rtnl_link_stats64, whose members have 8 bytes each. */
const member = { receivedPackets: 0, sentPackets: 1, receivedBytes: 2, sentBytes: 3, receivedDropped: 6, sentDropped: 7 } as const;
const memberBytes = 8;

/** Since the link was made, as the side that it is on sees it. A number has all digits up to 2⁵³. */
export interface LinkCounters {
  readonly index: number;
  readonly receivedPackets: number;
  readonly sentPackets: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly receivedDropped: number;
  readonly sentDropped: number;
}

/** The counters of every link. A dump: some 200 bytes for each link, where listing links is a few thousand. */
export function listLinkCounters(): NetlinkRequest {
  const payload = Buffer.alloc(headerBytes);
  payload.writeUInt32LE(1 << (statsLink64 - 1), filterOffset);
  return { type: rtmGetStats, flags: 0, payload, what: "list the links' counters" };
}

/** What a message of such a dump says; undefined where it has no counters. */
export function decodeLinkCounters({ payload }: NetlinkMessage): LinkCounters | undefined {
  const stats = decodeAttributes(payload, headerBytes).get(statsLink64);
  if (stats === undefined || stats.length < (member.sentDropped + 1) * memberBytes) return undefined;
  const read = (position: number): number => Number(stats.readBigUInt64LE(position * memberBytes));
  return {
    index: payload.readUInt32LE(indexOffset),
    receivedPackets: read(member.receivedPackets), sentPackets: read(member.sentPackets),
    receivedBytes: read(member.receivedBytes), sentBytes: read(member.sentBytes),
    receivedDropped: read(member.receivedDropped), sentDropped: read(member.sentDropped),
  };
}
