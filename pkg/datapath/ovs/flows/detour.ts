/**
 * The flows of a tenant's limit of what its containers send; see ../detour.ts. Pure.
 *
 *     container ─▶ source ─▶ limit ─▶ detour ═▶ detour ─▶ source ─▶ limited ─▶ neighbours ─▶ …
 *
 * What comes back is told by its source MAC, which the guard has looked at: it is given the port it came by first, so that broadcast does not
 * come back to its sender, and so that answers find him.
 */
import { load, output } from '../../../openflow/action.ts';
import type { Flow } from '../../../openflow/flow.ts';
import { untagged } from '../../../openflow/match.ts';
import { cookieOf } from './cookies.ts';
import { admit, ofTenant, type LocalPort, type TenantNetwork } from './network.ts';
import { priorities, tables } from './tables.ts';

/** The tenant's: into the limit, and out of it. */
export function detourFlows({ segment: { vni }, detour }: TenantNetwork): Flow[] {
  if (detour === undefined) return [];
  const cookie = cookieOf({ kind: 'segment', vni });
  return [
    { table: tables.limit, priority: priorities.limit.detour, match: ofTenant(vni), instructions: { apply: [output(detour.into)] }, cookie },
    { table: tables.source, priority: priorities.source.trusted, match: { inPort: detour.outOf, vlanVid: untagged }, instructions: admit(vni, tables.limited), cookie },
  ];
}

/** A port's: whose it is that has come out. Of the detour it needs to know only that it is there. Open vSwitch refuses to have the port set by SET_FIELD. */
export function returningFlows({ detour }: TenantNetwork, { ofport, port: { vni, mac } }: LocalPort): Flow[] {
  if (detour === undefined) return [];
  const instructions = { apply: [load(BigInt(ofport), 'inPort')], gotoTable: tables.neighbours };
  return [{ table: tables.limited, priority: priorities.limited.own, match: { ...ofTenant(vni), ethSrc: mac }, instructions, cookie: cookieOf({ kind: 'port', vni, ofport }) }];
}
