/** What bgpd knows of its sessions and of EVPN (bgpd/bgp_vty.c, bgp_route.c, bgp_evpn_vty.c), out of its JSON. Pure. */
import { parseAddress, type Address, type Mac, type Vni } from '../netaddr/netaddr.ts';
import { JsonField } from './json-field.ts';
import { tableCommands } from './table-commands.ts';

/** A session with a neighbour that speaks EVPN. */
export interface BgpSession {
  /** The neighbour as bgpd names it: an address, or an interface of an operator's unnumbered session. */
  readonly name: string;
  readonly address?: Address;
  /** The neighbour's autonomous system. */
  readonly as: number;
  readonly hostName?: string;
  readonly peerGroup?: string;
  /** BGP's state machine (RFC 4271 §8.2.2) in FRR's words, such as `Established`, `Active`, `Idle (Admin)`. */
  readonly state: string;
  readonly isUp: boolean;
  /** How long it has been up, or down, in milliseconds of which FRR counts whole seconds; absent where it was never up. */
  readonly sinceMs?: number;
  readonly prefixesReceived: number;
  readonly prefixesSent: number;
  /** How often it came up since bgpd knows the neighbour. */
  readonly establishedCount: number;
  /** Why it is down, in FRR's words; absent where it is up. */
  readonly reason?: string;
}

/** Whose a route is. */
export type RouteOrigin = { readonly kind: 'own' } | { readonly kind: 'received'; readonly from: string };

interface RouteFields {
  /** The route distinguisher of whoever announced it (RFC 7432 §7.9). */
  readonly rd: string;
  /** Absent where the announcement has none that FRR shows. */
  readonly vni?: Vni;
  /** The VTEP. */
  readonly nextHop: Address;
  readonly origin: RouteOrigin;
  /** It is the one of its kind that counts. */
  readonly isBest: boolean;
  /** How often the MAC has moved (RFC 7432 §7.7). */
  readonly sequence: number;
}

/** A path of an EVPN route, of type 2 (RFC 7432 §7.2) or 3 (§7.3). */
export type EvpnRoute =
  | (RouteFields & { readonly kind: 'endpoint'; readonly mac: Mac; readonly address?: Address })
  | (RouteFields & { readonly kind: 'vtep'; readonly originator: Address });

/**
 * Out of the answers to `summary` and `neighbors`; the second one tells why a session is down.
 * @throws FrrError garbled
 */
export function decodeSessions(summary: string, neighbors: string): readonly BgpSession[] {
  const peers = JsonField.parse(tableCommands.summary, summary)?.find('peers')?.entries() ?? [];
  const details = JsonField.parse(tableCommands.neighbors, neighbors);
  return peers.map(([name, field]) => {
    const state = field.get('state').text();
    const isUp = state === 'Established';
    const detail = details?.find(name);
    const address = addressOf(name);
    const sinceMs = field.get('peerUptimeMsec').count();
    const reason = isUp || detail === undefined ? undefined : reasonOf(detail);
    return {
      name,
      ...(address === undefined ? {} : { address }),
      as: field.get('remoteAs').count(),
      ...optional('hostName', field.find('hostname')?.text()),
      ...optional('peerGroup', detail?.find('peerGroup')?.text()),
      state,
      isUp,
      ...(field.get('peerUptime').is('never') ? {} : { sinceMs }),
      prefixesReceived: field.get('pfxRcd').count(),
      prefixesSent: field.find('pfxSnt')?.count() ?? 0,
      establishedCount: field.get('connectionsEstablished').count(),
      ...optional('reason', reason),
    };
  });
}

/**
 * Every path of the routes of types 2 and 3; other types are left out.
 * @throws FrrError garbled
 */
export function decodeRoutes(text: string, command: string = tableCommands.routes): readonly EvpnRoute[] {
  const tables = JsonField.parse(command, text)?.entries() ?? [];
  // Beside the tables, one for each route distinguisher, and beside the routes in them stand counts and names.
  return tables.filter(([, table]) => table.isObject).flatMap(([rd, table]) =>
    table.entries().filter(([, route]) => route.isObject).flatMap(([, route]) => decodeRoute(rd, route)),
  );
}

function decodeRoute(rd: string, route: JsonField): readonly EvpnRoute[] {
  const type = route.get('routeType').count();
  if (type !== 2 && type !== 3) return [];
  return route.get('paths').items().flatMap((group) => group.items()).map((path): EvpnRoute => {
    const fields = decodePath(rd, path);
    if (type === 3) return { kind: 'vtep', originator: route.get('ip').address(), ...fields };
    return { kind: 'endpoint', mac: route.get('mac').mac(), ...optional('address', route.find('ip')?.address()), ...fields };
  });
}

function decodePath(rd: string, path: JsonField): RouteFields {
  const isOwn = path.find('sourced')?.is(true) ?? path.find('local')?.is(true) ?? false;
  return {
    rd,
    ...optional('vni', vniOf(path)),
    nextHop: path.get('nexthops').first().get('ip').address(),
    origin: isOwn ? { kind: 'own' } : { kind: 'received', from: path.get('peer').get('peerId').text() },
    isBest: path.find('bestpath')?.find('overall')?.is(true) ?? false,
    sequence: path.find('extendedCommunity')?.get('string').read('extended communities', sequenceOf) ?? 0,
  };
}

/** Routes of type 3 have it in the tunnel attribute (RFC 8365 §5.1.3). */
function vniOf(path: JsonField): Vni | undefined {
  return (path.find('pmsi')?.find('label') ?? path.find('vni') ?? path.find('VNI'))?.vni();
}

/** `MM:<number>` among the extended communities; a route that never moved has none. */
function sequenceOf(communities: string): number {
  return Number(/(?:^| )MM:(\d+)/.exec(communities)?.[1] ?? 0);
}

/** What FRR says last: the notification (RFC 4271 §4.5) where there was one. */
function reasonOf(detail: JsonField): string | undefined {
  if (detail.find('adminShutDown')?.is(true)) return 'shut down by configuration';
  const reset = detail.find('lastResetDueTo')?.text();
  const notification = detail.find('lastNotificationReason')?.text();
  return reset !== undefined && notification !== undefined && /notification/i.test(reset) ? `${reset}: ${notification}` : reset;
}

function addressOf(name: string): Address | undefined {
  try {
    return parseAddress(name);
  } catch {
    return undefined;
  }
}

function optional<Key extends string, T>(key: Key, value: T | undefined): { readonly [K in Key]?: T } {
  return value === undefined ? {} : ({ [key]: value } as { [K in Key]: T });
}
