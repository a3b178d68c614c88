/** bgpd's configuration as `show running-config` tells it, read as far as weft is concerned. Pure. */
import type { Place } from './render.ts';
import { evpnLines, peerGroups } from './speaker.ts';

/** What is said of a neighbour or of a peer-group in one place: attributes, such as `timers connect`, with their lines. */
export type Attributes = ReadonlyMap<string, string>;

/** The configuration of bgpd's default instance; those of VRFs and views are nobody's here. */
export interface RunningConfig {
  /** The router's autonomous system; absent where there is no router. */
  readonly as?: number;
  /** FRR's profile, which decides defaults: traditional or datacenter. */
  readonly profile: string;
  readonly lines: Readonly<Record<Place, readonly string[]>>;
}

/** Beside the places that matter: another family of the router, and any other block. */
type Section = Exclude<Place, 'top'> | 'family' | 'elsewhere';

/** Not that of a VRF or a view. */
const defaultRouter = /^router bgp (\S+)(?: as-notation \S+)?$/;
const profilePrefix = 'frr defaults ';

/** Attributes that weft sets or takes away; what else is said of its neighbours stays. */
const knownAttributes: Readonly<Record<Place, ReadonlySet<string>>> = {
  top: new Set(),
  router: new Set(['remote-as', 'peer-group', 'password', 'update-source', 'ebgp-multihop', 'timers', 'timers connect']),
  ipv4: new Set(['activate']),
  evpn: new Set(['activate', 'route-reflector-client', 'route-map in', 'route-map out']),
};

/** Reads the text of `show running-config`. */
export function parseRunningConfig(text: string): RunningConfig {
  const lines: Record<Place, string[]> = { top: [], router: [], ipv4: [], evpn: [] };
  let as: number | undefined;
  let section: Section = 'elsewhere';
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    if (line === '' || line.startsWith('!')) continue;
    if (raw.startsWith(' ')) {
      section = sectionWithin(section, line);
      if (section !== 'elsewhere' && section !== 'family') lines[section].push(line);
      continue;
    }
    const router = defaultRouter.exec(line)?.[1];
    section = router === undefined ? 'elsewhere' : 'router';
    if (router === undefined) lines.top.push(line);
    else as = readAs(router);
  }
  const profile = lines.top.find((line) => line.startsWith(profilePrefix))?.slice(profilePrefix.length) ?? 'traditional';
  return { ...(as === undefined ? {} : { as }), profile, lines };
}

/** Whether bgpd tells of the kernel's VNIs: without it bgpd tells zebra nothing, and zebra bgpd. */
export function isAdvertising({ lines }: RunningConfig): boolean {
  return lines.evpn.includes(evpnLines.advertise);
}

/** What the lines of a place say of a neighbour or group, as far as weft knows it. */
export function attributesOf(lines: readonly string[], place: Place, name: string): Attributes {
  const attributes = new Map<string, string>();
  for (const line of lines) {
    const words = line.replace(/^no /, '').split(' ');
    const attribute = nameOf(words.slice(2));
    if (words[0] === 'neighbor' && words[1] === name && knownAttributes[place].has(attribute)) attributes.set(attribute, line);
  }
  return attributes;
}

/** The neighbours that are members of weft's groups, with the group of each. */
export function membersOf({ lines }: RunningConfig): ReadonlyMap<string, string> {
  const groups: readonly string[] = Object.values(peerGroups);
  const memberships = lines.router.map((line) => /^neighbor (\S+) peer-group (\S+)$/.exec(line)).filter((match) => groups.includes(match?.[2] ?? ''));
  return new Map(memberships.map((match) => [match?.[1] ?? '', match?.[2] ?? '']));
}

/** The lines of the router and its families that name a neighbour, the group it is in among them. */
export function linesAbout({ lines }: RunningConfig, name: string): readonly string[] {
  return [...lines.router, ...lines.ipv4, ...lines.evpn].filter((line) => line.replace(/^no /, '').startsWith(`neighbor ${name} `));
}

/** Where a line that stands in a block belongs. */
function sectionWithin(section: Section, line: string): Section {
  if (section === 'elsewhere') return section;
  if (line === 'exit-address-family') return 'router';
  if (!line.startsWith('address-family ')) return section;
  if (line === 'address-family l2vpn evpn') return 'evpn';
  return line === 'address-family ipv4 unicast' ? 'ipv4' : 'family';
}

/** The attribute's name out of the words behind the neighbour's. */
function nameOf([first = '', second, third]: readonly string[]): string {
  if (first === 'timers' && second === 'connect') return 'timers connect';
  return first === 'route-map' ? `route-map ${third ?? ''}` : first;
}

/** Plain, or with a dot (RFC 5396), which FRR 9 may show. */
function readAs(text: string): number {
  const [high, low] = text.split('.');
  return low === undefined ? Number(high) : Number(high) * 65_536 + Number(low);
}
