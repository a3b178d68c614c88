/** What bgpd lacks for EVPN where the operator configures it, in words. Pure. */
import { formatAddress, parsePrefix, prefixContains, type Address, type Prefix } from '../netaddr/netaddr.ts';
import type { Place } from './render.ts';
import { attributesOf, isAdvertising, type RunningConfig } from './running-config.ts';
import { evpnLines, type Speaker, type SpeakerNeighbor } from './speaker.ts';

/**
 * What is missing or different, a sentence each; empty where bgpd fits. Timers, peer-groups and where sessions come from are the
 * operator's to choose. A neighbour may get what it needs by a peer-group of any name, or by `bgp listen range`. No password stands in it.
 */
export function describeGaps(speaker: Speaker, running: RunningConfig): readonly string[] {
  const { as, lines } = running;
  if (as === undefined) return [`bgpd of FRR has no "router bgp ${speaker.as}": add it`];
  if (as !== speaker.as) return [`bgpd of FRR must have the AS ${speaker.as} of controlPlane.as: it has "router bgp ${as}"`];
  const own = lines.router.find((line) => line.startsWith('bgp router-id '))?.slice('bgp router-id '.length);
  const id = speaker.routerId && formatAddress(speaker.routerId);
  return [
    ...(id === undefined || id === own ? [] : [`bgpd of FRR must have the router id ${id} of controlPlane.routerId: it has ${own ?? 'none of its own'}`]),
    ...(isAdvertising(running) ? [] : ['bgpd of FRR has no "advertise-all-vni" under "address-family l2vpn evpn": add it']),
    ...(lines.evpn.includes(evpnLines.noDuplicates) ? [] : ['bgpd of FRR takes an address that moves often for a duplicate: add "no dup-addr-detection" under "address-family l2vpn evpn"']),
    ...speaker.neighbors.flatMap((neighbor) => neighborGaps(neighbor, { speaker, running })),
  ];
}

interface Context {
  readonly speaker: Speaker;
  readonly running: RunningConfig;
}

function neighborGaps(neighbor: SpeakerNeighbor, { speaker, running }: Context): readonly string[] {
  const name = formatAddress(neighbor.address);
  const remoteAs = valueOf(running, 'router', { neighbor, attribute: 'remote-as' });
  const who = `the neighbour ${name} of bgpd of FRR`;
  if (remoteAs === undefined) return [`bgpd of FRR has no neighbour ${name}: add "neighbor ${name} remote-as ${neighbor.as}"`];
  const isExternal = neighbor.as !== speaker.as;
  const expected = [String(neighbor.as), isExternal ? 'external' : 'internal'];
  if (!expected.includes(remoteAs)) return [`${who} must have the AS ${neighbor.as}: it has "remote-as ${remoteAs}"`];
  const isActive = valueOf(running, 'evpn', { neighbor, attribute: 'activate' }) !== undefined;
  const reflects = valueOf(running, 'evpn', { neighbor, attribute: 'route-reflector-client' }) !== undefined;
  const hasPassword = neighbor.password === undefined || valueOf(running, 'router', { neighbor, attribute: 'password' }) === neighbor.password;
  return [
    ...(running.lines.router.includes(`neighbor ${name} shutdown`) ? [`${who} is shut down: take out "neighbor ${name} shutdown"`] : []),
    ...(hasPassword ? [] : [`${who} must have the password of controlPlane: it has another or none`]),
    ...(isActive ? [] : [`${who} does not speak EVPN: add "neighbor ${name} activate" under "address-family l2vpn evpn"`]),
    ...(neighbor.routeReflectorClient && !reflects ? [`${who} is no client of this node: add "neighbor ${name} route-reflector-client" under "address-family l2vpn evpn"`] : []),
    ...(isExternal && needsPolicy(running) ? policyGaps(neighbor, running) : []),
  ];
}

/** RFC 8212; FRR's profile datacenter does not ask for it. */
function needsPolicy({ profile, lines }: RunningConfig): boolean {
  if (lines.router.includes('no bgp ebgp-requires-policy')) return false;
  return profile !== 'datacenter' || lines.router.includes('bgp ebgp-requires-policy');
}

function policyGaps(neighbor: SpeakerNeighbor, running: RunningConfig): readonly string[] {
  const missing = ['in', 'out'].filter((direction) => valueOf(running, 'evpn', { neighbor, attribute: `route-map ${direction}` }) === undefined);
  if (missing.length === 0) return [];
  const name = formatAddress(neighbor.address);
  return [`bgpd of FRR exchanges nothing with the external neighbour ${name} without a policy: add a route-map ${missing.join(' and ')} under "address-family l2vpn evpn", or "no bgp ebgp-requires-policy"`];
}

/** The value of an attribute, the neighbour's own or its group's; undefined where neither has it, or it is switched off. */
function valueOf(running: RunningConfig, place: Place, { neighbor, attribute }: { readonly neighbor: SpeakerNeighbor; readonly attribute: string }): string | undefined {
  const name = formatAddress(neighbor.address);
  const group = groupNameOf(neighbor.address, running);
  const line = attributesOf(running.lines[place], place, name).get(attribute) ?? (group === undefined ? undefined : attributesOf(running.lines[place], place, group).get(attribute));
  if (line === undefined || line.startsWith('no ')) return undefined;
  const [, , ...words] = line.split(' ');
  return words.slice(attribute.startsWith('route-map') ? 1 : attribute.split(' ').length).join(' ');
}

function groupNameOf(address: Address, running: RunningConfig): string | undefined {
  const own = attributesOf(running.lines.router, 'router', formatAddress(address)).get('peer-group');
  if (own !== undefined) return own.split(' ')[3];
  const ranges = running.lines.router.map((line) => /^bgp listen range (\S+) peer-group (\S+)$/.exec(line));
  return ranges.find((match) => match?.[1] !== undefined && prefixContains(readPrefix(match[1]), address))?.[2];
}

/** FRR shows none but sound ones. */
function readPrefix(text: string): Prefix {
  return parsePrefix(text, 'bgp listen range');
}
