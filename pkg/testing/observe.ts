/** Reading the kernel back with the system's tools, never with the code under test. */
import { run, runIn } from './command.ts';

/** A link as `ip -j -d link` shows it; the fields tests look at. */
export interface ObservedLink {
  readonly ifindex: number;
  readonly ifname: string;
  readonly mtu: number;
  readonly address: string;
  readonly operstate: string;
  readonly flags: readonly string[];
  readonly master?: string;
  readonly ifalias?: string;
  readonly linkinfo?: {
    readonly info_kind?: string;
    readonly info_data?: Readonly<Record<string, unknown>>;
    readonly info_slave_data?: Readonly<Record<string, unknown>>;
  };
}

/** An address of a link as `ip -j addr` shows it. */
export interface ObservedAddress {
  readonly family: 'inet' | 'inet6';
  readonly local: string;
  readonly prefixlen: number;
  readonly scope: string;
  readonly tentative?: boolean;
}

/** A route as `ip -j route` shows it. */
export interface ObservedRoute {
  readonly dst: string;
  readonly gateway?: string;
  readonly dev?: string;
  readonly metrics?: readonly Readonly<Record<string, number>>[];
}

/** A forwarding entry as `bridge -j fdb` shows it. */
export interface ObservedFdbEntry {
  readonly mac: string;
  readonly ifname: string;
  readonly dst?: string;
  readonly master?: string;
  readonly state?: string;
  readonly flags?: readonly string[];
}

/** What `ip -j …` prints inside a namespace, decoded. The caller names the shape it asked for. */
export function ipJson<T>(netns: string, ...args: readonly string[]): T {
  return decode<T>(run('ip', ['-n', netns, '-j', ...args]));
}

/** What `bridge -j …` prints inside a namespace, decoded. */
export function bridgeJson<T>(netns: string, ...args: readonly string[]): T {
  return decode<T>(run('bridge', ['-n', netns, '-j', ...args]));
}

/** What `nft -j …` prints inside a namespace, decoded. */
export function nftJson<T>(netns: string, ...args: readonly string[]): T {
  return decode<T>(runIn(netns, 'nft', '-j', ...args));
}

/** All links of a namespace with their details. */
export function readLinks(netns: string): readonly ObservedLink[] {
  return ipJson<readonly ObservedLink[]>(netns, '-d', 'link', 'show');
}

/** A link by its name; undefined where there is none. */
export function findLink(netns: string, ifname: string): ObservedLink | undefined {
  return readLinks(netns).find((link) => link.ifname === ifname);
}

/** The addresses of a link, of both families. */
export function readAddresses(netns: string, ifname: string): readonly ObservedAddress[] {
  const links = ipJson<readonly { readonly addr_info?: readonly ObservedAddress[] }[]>(netns, 'addr', 'show', 'dev', ifname);
  return links.flatMap((link) => link.addr_info ?? []);
}

/** The routes of a namespace's main table, for one family. */
export function readRoutes(netns: string, family: 4 | 6): readonly ObservedRoute[] {
  return ipJson<readonly ObservedRoute[]>(netns, `-${family}`, 'route', 'show');
}

/** The forwarding entries of a bridge port or VXLAN device. */
export function readFdb(netns: string, ifname: string): readonly ObservedFdbEntry[] {
  return bridgeJson<readonly ObservedFdbEntry[]>(netns, 'fdb', 'show', 'dev', ifname);
}

/** The whole ruleset of a namespace as text, with counters and handles left out, for comparing before with after. */
export function readRuleset(netns: string): string {
  return runIn(netns, 'nft', '--stateless', 'list', 'ruleset');
}

function decode<T>(text: string): T {
  // iproute2 prints nothing at all, not `[]`, where there is nothing to show.
  return JSON.parse(text.trim() === '' ? '[]' : text) as T;
}
