/** bgpd's configuration as lines, in the words in which `show running-config` repeats them. Pure. */
import { formatAddress } from '../netaddr/netaddr.ts';
import { evpnLines, groupOf, peerGroups, routeMap, type Speaker, type SpeakerNeighbor } from './speaker.ts';

/** Where a line stands: outside of all blocks, in `router bgp`, or in one of its address families. */
export type Place = 'top' | 'router' | 'ipv4' | 'evpn';

/** A line of the configuration. */
export interface Statement {
  readonly place: Place;
  readonly line: string;
}

/** What of the configuration depends on what is there already. */
export interface RenderOptions {
  /** There is no `router bgp` yet: what is said of the whole router is weft's to say. */
  readonly makesRouter: boolean;
  /** The router exchanges IPv4 routes with every neighbour that is not exempted (FRR's default). */
  readonly hasIpv4Default: boolean;
}

const fresh: RenderOptions = { makesRouter: true, hasIpv4Default: false };

/** How a block is entered and left; `router bgp` has its number. */
const families = { ipv4: 'address-family ipv4 unicast', evpn: 'address-family l2vpn evpn' } as const;
const indentation = { top: '', router: ' ', ipv4: '  ', evpn: '  ' } as const;
/** FRR's own number for "any distance", with which it shows the line (MAXTTL, lib/sockopt.h). */
const hopsMax = 255;

/** The configuration of a bgpd that has none, as text for a file, with the passwords. */
export function renderConfiguration(speaker: Speaker): string {
  return renderCommands(speaker.as, statementsOf(speaker, fresh)).map((line) => `${line}\n`).join('');
}

/**
 * All that weft wants, in an order in which bgpd can be told of it. Groups are complete before they have members: a session that is
 * begun with less would have to be begun anew.
 */
export function statementsOf(speaker: Speaker, options: RenderOptions): readonly Statement[] {
  const groups = Object.values(peerGroups).filter((group) => speaker.neighbors.some((neighbor) => groupOf(neighbor, speaker) === group));
  const hasExternal = groups.includes(peerGroups.external);
  return [
    ...at('top', hasExternal ? [`route-map ${routeMap} permit 10`] : []),
    ...at('router', [...routerLines(speaker, options), ...groups.flatMap((group) => groupLines(group, speaker))]),
    ...at('ipv4', options.hasIpv4Default ? groups.map((group) => `no neighbor ${group} activate`) : []),
    // bgpd takes the last only from whoever has the one before (bgpd/bgp_evpn_vty.c).
    ...at('evpn', [...groups.flatMap(groupEvpnLines), evpnLines.advertise, evpnLines.noDuplicates]),
    ...at('router', speaker.neighbors.flatMap((neighbor) => neighborLines(neighbor, speaker))),
    ...at('evpn', speaker.neighbors.filter(({ routeReflectorClient }) => routeReflectorClient).map(({ address }) => `neighbor ${formatAddress(address)} route-reflector-client`)),
  ];
}

/** The statements with the lines around them that lead to their places, for Vty.configure() or for a file. */
export function renderCommands(as: number, statements: readonly Statement[]): readonly string[] {
  const lines: string[] = [];
  let place: Place = 'top';
  const leave = (to: Place): void => {
    if (place === 'ipv4' || place === 'evpn') lines.push(' exit-address-family');
    if (to === 'top' && place !== 'top') lines.push('exit');
  };
  for (const statement of statements) {
    if (statement.place !== place) {
      leave(statement.place);
      if (place === 'top') lines.push(`router bgp ${as}`);
      if (statement.place === 'ipv4' || statement.place === 'evpn') lines.push(` ${families[statement.place]}`);
      place = statement.place;
    }
    lines.push(indentation[place] + statement.line);
    // Alone of all lines it opens a block.
    if (/^route-map /.test(statement.line)) lines.push('exit');
  }
  leave('top');
  return lines;
}

function at(place: Place, lines: readonly string[]): readonly Statement[] {
  return lines.map((line) => ({ place, line }));
}

/** Another router id ends every session of the router: one that is not weft's keeps its own unless one was chosen. */
function routerLines({ routerId, vtep }: Speaker, { makesRouter }: RenderOptions): readonly string[] {
  const id = routerId ?? (makesRouter && vtep.family === 4 ? vtep : undefined);
  return [...(id === undefined ? [] : [`bgp router-id ${formatAddress(id)}`]), ...(makesRouter ? ['no bgp default ipv4-unicast'] : [])];
}

function groupLines(group: string, { timers }: Speaker): readonly string[] {
  return [
    `neighbor ${group} peer-group`,
    ...(group === peerGroups.external ? [`neighbor ${group} ebgp-multihop ${hopsMax}`] : []),
    `neighbor ${group} timers ${timers.keepaliveSeconds} ${timers.holdSeconds}`,
    `neighbor ${group} timers connect ${timers.connectSeconds}`,
  ];
}

function groupEvpnLines(group: string): readonly string[] {
  const policy = group === peerGroups.external ? ['in', 'out'].map((direction) => `neighbor ${group} route-map ${routeMap} ${direction}`) : [];
  return [`neighbor ${group} activate`, ...policy];
}

function neighborLines(neighbor: SpeakerNeighbor, speaker: Speaker): readonly string[] {
  const name = formatAddress(neighbor.address);
  const isOfVtepFamily = neighbor.address.family === speaker.vtep.family;
  return [
    `neighbor ${name} remote-as ${neighbor.as}`,
    `neighbor ${name} peer-group ${groupOf(neighbor, speaker)}`,
    ...(neighbor.password === undefined ? [] : [`neighbor ${name} password ${neighbor.password}`]),
    ...(isOfVtepFamily ? [`neighbor ${name} update-source ${formatAddress(speaker.vtep)}`] : []),
  ];
}
