/** Which commands bring bgpd to what weft wants. Pure. */
import { formatAddress } from '../netaddr/netaddr.ts';
import { FrrError } from './frr-error.ts';
import { renderCommands, statementsOf, type Place, type Statement } from './render.ts';
import { attributesOf, isAdvertising, linesAbout, membersOf, type RunningConfig } from './running-config.ts';
import { evpnLines, groupOf, peerGroups, routeMap, type Speaker, type SpeakerNeighbor } from './speaker.ts';

const ipv4DefaultOff = 'no bgp default ipv4-unicast';

/**
 * The lines for Vty.configure() that change what differs, and nothing else: none where all is as it should be. Only sessions end that are
 * told something else of themselves. Weft's are the two peer-groups with their members, the route-map, and in the address family of EVPN
 * `advertise-all-vni` and `no dup-addr-detection`. They contain passwords: see withoutPassword().
 * @throws FrrError conflict where bgpd has another AS, or a neighbour of the same address that is not weft's
 */
export function planChanges(speaker: Speaker, running: RunningConfig): readonly string[] {
  requireNoConflict(speaker, running);
  const gone = goneMembers(speaker, running);
  const rest = without(running, gone);
  const wanted = statementsOf(speaker, { makesRouter: running.as === undefined, hasIpv4Default: !running.lines.router.includes(ipv4DefaultOff) && running.as !== undefined });
  const missing = wanted.filter(({ place, line }) => !rest.lines[place].includes(line));
  const removals = gone.map((name): Statement => ({ place: 'router', line: `no neighbor ${name}` }));
  return renderCommands(speaker.as, [...removals, ...staleGroups(wanted, rest), ...staleAttributes(speaker, { wanted, rest }), ...missing]);
}

/**
 * The lines that take away what is weft's, for a node that no longer speaks EVPN. The router stays: bgpd does not say who made it.
 */
export function planRemoval(running: RunningConfig): readonly string[] {
  const { as, lines } = running;
  const topLine = `route-map ${routeMap} permit 10`;
  // In this order: bgpd takes the first only from whoever has what the second one takes away (bgpd/bgp_evpn_vty.c).
  const evpn = [...(lines.evpn.includes(evpnLines.noDuplicates) ? ['dup-addr-detection'] : []), `no ${evpnLines.advertise}`];
  const groups = Object.values(peerGroups).filter((group) => lines.router.includes(`neighbor ${group} peer-group`));
  if (as === undefined) return [];
  return renderCommands(as, [
    ...(isAdvertising(running) ? evpn : []).map((line): Statement => ({ place: 'evpn', line })),
    ...[...membersOf(running).keys()].map((name): Statement => ({ place: 'router', line: `no neighbor ${name}` })),
    ...groups.map((group): Statement => ({ place: 'router', line: `no neighbor ${group} peer-group` })),
    ...(lines.top.includes(topLine) ? [{ place: 'top', line: `no ${topLine}` } as const] : []),
  ]);
}

/**
 * The lines that make bgpd tell zebra all remote VTEPs, MACs and addresses again: to a zebra that has started anew bgpd 8.4 connects again
 * (within about ten seconds, lib/zclient.c) and tells it nothing, so that it would not take out of the kernel what is withdrawn later. No
 * session ends; the other nodes were seen to notice nothing. What zebra did know leaves the kernel for about 10 ms.
 */
export function planReplay(speaker: Speaker): readonly string[] {
  return renderCommands(speaker.as, [`no ${evpnLines.advertise}`, evpnLines.advertise, evpnLines.noDuplicates].map((line) => ({ place: 'evpn', line })));
}

function requireNoConflict(speaker: Speaker, running: RunningConfig): void {
  if (running.as === undefined) return;
  if (running.as !== speaker.as) {
    const details = `set controlPlane.as to ${running.as}, or take "router bgp ${running.as}" out of FRR's configuration`;
    throw new FrrError('conflict', `bgpd of FRR must have the AS ${speaker.as} of controlPlane.as: it is configured for ${running.as}`, { details });
  }
  const members = membersOf(running);
  for (const neighbor of speaker.neighbors) {
    const name = formatAddress(neighbor.address);
    if (members.has(name) || isFree(neighbor, running)) continue;
    const details = 'take it out of controlPlane.neighbors, or out of FRR\'s configuration, or set controlPlane.managed to false and configure FRR yourself';
    throw new FrrError('conflict', `the neighbour ${name} of controlPlane.neighbors is configured in bgpd of FRR already, and not by weft`, { details });
  }
}

/** Nothing is said of it, or no more than weft says before it says whose it is. */
function isFree({ address, as }: SpeakerNeighbor, running: RunningConfig): boolean {
  const name = formatAddress(address);
  return linesAbout(running, name).every((line) => line === `neighbor ${name} remote-as ${as}`);
}

/** Members that nobody wants, and those that have to be made anew: a group has one kind of neighbours. */
function goneMembers(speaker: Speaker, running: RunningConfig): readonly string[] {
  const wanted = new Map(speaker.neighbors.map((neighbor) => [formatAddress(neighbor.address), neighbor]));
  return [...membersOf(running)].filter(([name, group]) => {
    const neighbor = wanted.get(name);
    return neighbor === undefined || groupOf(neighbor, speaker) !== group;
  }).map(([name]) => name);
}

function without(running: RunningConfig, names: readonly string[]): RunningConfig {
  const about = new Set(names.flatMap((name) => linesAbout(running, name)));
  const keep = (lines: readonly string[]): readonly string[] => lines.filter((line) => !about.has(line));
  const { top, router, ipv4, evpn } = running.lines;
  return { ...running, lines: { top, router: keep(router), ipv4: keep(ipv4), evpn: keep(evpn) } };
}

/** A group that has no members any more. */
function staleGroups(wanted: readonly Statement[], { lines }: RunningConfig): readonly Statement[] {
  const definitions = Object.values(peerGroups).map((group) => `neighbor ${group} peer-group`);
  const stale = definitions.filter((line) => lines.router.includes(line) && !wanted.some((statement) => statement.line === line));
  return stale.map((line) => ({ place: 'router', line: `no ${line}` }));
}

interface Difference {
  readonly wanted: readonly Statement[];
  readonly rest: RunningConfig;
}

/** What is said of weft's neighbours and groups and should not be. What should be something else is said anew, which replaces it. */
function staleAttributes(speaker: Speaker, { wanted, rest }: Difference): readonly Statement[] {
  const groups = new Set(speaker.neighbors.map((neighbor) => groupOf(neighbor, speaker)));
  const names = [...groups, ...speaker.neighbors.map(({ address }) => formatAddress(address))];
  const places: readonly Place[] = ['evpn', 'router'];
  return places.flatMap((place) => {
    const intended = wanted.filter((statement) => statement.place === place).map(({ line }) => line);
    return names.flatMap((name) => {
      const kept = attributesOf(intended, place, name);
      const stale = [...attributesOf(rest.lines[place], place, name)].filter(([attribute]) => !kept.has(attribute));
      return stale.map(([attribute, line]): Statement => ({ place, line: undo({ place, name, attribute, line }) }));
    });
  });
}

/** In the router itself an attribute goes by its name; its value may be a secret, or shown otherwise than it is taken. */
function undo({ place, name, attribute, line }: { readonly place: Place; readonly name: string; readonly attribute: string; readonly line: string }): string {
  if (line.startsWith('no ')) return line.slice('no '.length);
  return place === 'router' ? `no neighbor ${name} ${attribute}` : `no ${line}`;
}
