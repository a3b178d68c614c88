/**
 * Whose a flow is, as its cookie says: 24 bits of weft, 24 bits of VNI, 16 bits of port. So what an attachment, a tenant or weft has on
 * the switch is listed and deleted by one filter, without knowing what the flows are. Pure.
 *
 *      63          40 39          16 15         0
 *     ┌──────────────┬──────────────┬────────────┐
 *     │ "wef"        │ VNI, or 0    │ port, or 0 │
 *     └──────────────┴──────────────┴────────────┘
 */
import { parseVni, type Vni } from '../../../netaddr/netaddr.ts';
import type { FlowFilter } from '../../../openflow/flow.ts';

/** Whom a flow is for. */
export type FlowOwner =
  /** Every tenant: there from the start. */
  | { readonly kind: 'node' }
  | { readonly kind: 'segment'; readonly vni: Vni }
  | { readonly kind: 'port'; readonly vni: Vni; readonly ofport: number }
  /** Endpoints elsewhere that a control plane knows. */
  | { readonly kind: 'remotes'; readonly vni: Vni }
  /** Made by the switch itself, of what came through the tunnel. */
  | { readonly kind: 'learned'; readonly vni: Vni };

/** The part of a FlowFilter that selects flows by their owner. */
export type FlowSelector = Required<Pick<FlowFilter, 'cookie' | 'cookieMask'>>;

/** The letters "wef". */
const weft = 0x776566n << 40n;
const weftMask = 0xffffffn << 40n;
const vniMask = 0xffffffn << 16n;
const portMask = 0xffffn;
/** Open vSwitch gives its ports numbers below OFPP_MAX of OpenFlow 1.0, 0xff00: above it there is room for kinds. */
const ofportMax = 0xfeff;
const kindNumbers = { remotes: 0xffff, learned: 0xfffe } as const;

/** The cookie of the owner's flows. @throws RangeError when the port is none that an interface can have */
export function cookieOf(owner: FlowOwner): bigint {
  switch (owner.kind) {
    case 'node':
      return weft;
    case 'segment':
      return cookie(owner.vni, 0);
    case 'port':
      if (Number.isInteger(owner.ofport) && owner.ofport >= 1 && owner.ofport <= ofportMax) return cookie(owner.vni, owner.ofport);
      throw new RangeError(`ofport must be a whole number from 1 to ${ofportMax}: current value is ${owner.ofport}`);
    default:
      return cookie(owner.vni, kindNumbers[owner.kind]);
  }
}

function cookie(vni: Vni, low: number): bigint {
  return weft | (BigInt(vni) << 16n) | BigInt(low);
}

/** Whose a flow is; undefined where it is not weft's. */
export function ownerOf(cookie: bigint): FlowOwner | undefined {
  if ((cookie & weftMask) !== weft) return undefined;
  const [number, low] = [Number((cookie & vniMask) >> 16n), Number(cookie & portMask)];
  if (number === 0) return low === 0 ? { kind: 'node' } : undefined;
  const vni = parseVni(number);
  if (low === 0) return { kind: 'segment', vni };
  if (low === kindNumbers.remotes) return { kind: 'remotes', vni };
  if (low === kindNumbers.learned) return { kind: 'learned', vni };
  return low <= ofportMax ? { kind: 'port', vni, ofport: low } : undefined;
}

/** Everything weft has on the switch. */
export const flowsOfWeft: FlowSelector = { cookie: weft, cookieMask: weftMask };

/** Everything a tenant has: its segment's flows, its ports', its remote endpoints', and what the switch has learned for it. */
export function flowsOfTenant(vni: Vni): FlowSelector {
  return { cookie: cookie(vni, 0), cookieMask: weftMask | vniMask };
}

/** The owner's flows and nobody else's. @throws RangeError as cookieOf() */
export function flowsOf(owner: FlowOwner): FlowSelector {
  return { cookie: cookieOf(owner), cookieMask: weftMask | vniMask | portMask };
}
