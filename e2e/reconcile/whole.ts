/** Everything of a node and its containers that there is to damage, in the words of the system's tools. */
import { run, runIn } from '../../pkg/testing/command.ts';
import { bridgeJson, ipJson, readRoutes, type ObservedFdbEntry } from '../../pkg/testing/observe.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { describeSwitch } from '../harness/switch-flows.ts';

type Fields = Readonly<Record<string, unknown>>;
interface AddressedLink {
  readonly ifname: string;
  readonly address: string;
  readonly mtu: number;
  readonly addr_info: readonly { readonly local: string; readonly prefixlen: number }[];
}

/** The description, without numbers that are new with each making. Two that are equal are of a node in the same state. */
export function describeNode(node: LabNode, containers: readonly string[]): unknown {
  const { netns } = node;
  const links = ipJson<readonly Fields[]>(netns, '-d', 'link', 'show').filter(({ ifname }) => isOwn(ifname));
  const names = links.map(({ ifname }) => String(ifname)).sort();
  return {
    links: names.map((name) => describeLink(links.find(({ ifname }) => ifname === name) ?? {})),
    fdb: bridgeJson<readonly ObservedFdbEntry[]>(netns, 'fdb', 'show').filter(isProgrammed).map(({ ifname, mac, dst, state }) => `${ifname} ${mac} ${dst ?? ''} ${state ?? ''}`).sort(),
    addresses: ipJson<readonly AddressedLink[]>(netns, 'address', 'show').filter(({ ifname }) => isOwn(ifname)).flatMap((link) => addressesOf(link).map((address) => `${link.ifname} ${address}`)).sort(),
    routes: routesOf(netns),
    limits: run('tc', ['-n', netns, 'qdisc', 'show']).split('\n').filter((line) => line.includes('dev weft-')).map((line) => line.replace(/ [0-9a-f]+: /, ' ').replace(/ refcnt \d+/, '').trim()).sort(),
    filters: names.filter((name) => name.startsWith('weft-p')).map((name) => run('tc', ['-n', netns, 'filter', 'show', 'dev', name, 'ingress']).replace(/index \d+/g, '')),
    sysctls: sysctlsOf(netns, names),
    ruleset: sortElements(runIn(netns, 'nft', '--stateless', 'list', 'ruleset')),
    openVSwitch: node.datapath === 'ovs' ? describeSwitch(node.openVSwitch) : undefined,
    containers: containers.map(describeContainer),
  };
}

function isOwn(name: unknown): boolean {
  return String(name).startsWith('weft-');
}

function isProgrammed({ state, dst, ifname }: ObservedFdbEntry): boolean {
  return isOwn(ifname) && (state === 'static' || dst !== undefined);
}

function addressesOf({ addr_info: addresses }: AddressedLink): string[] {
  return addresses.map(({ local, prefixlen }) => `${local}/${prefixlen}`);
}

function routesOf(netns: string): string[] {
  return [...readRoutes(netns, 4), ...readRoutes(netns, 6)].map(({ dst, gateway, dev }) => `${dst} ${gateway ?? ''} ${dev ?? ''}`).sort();
}

function sysctlsOf(netns: string, names: readonly string[]): string {
  const bridges = names.filter((name) => name.startsWith('weft-br'));
  return runIn(netns, 'sysctl', 'net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding', ...bridges.map((name) => `net.ipv4.conf.${name}.arp_ignore`));
}

/** The kernel shows the elements of a set in any order. */
function sortElements(ruleset: string): string {
  return ruleset.replaceAll(/elements = \{([^}]*)\}/g, (_match, elements: string) => `elements = { ${elements.split(',').map((element) => element.trim()).sort().join(', ')} }`);
}

function describeContainer(netns: string): unknown {
  const links = ipJson<readonly AddressedLink[]>(netns, 'address', 'show');
  const limits = run('tc', ['-n', netns, 'qdisc', 'show', 'dev', 'eth0']).replaceAll(/ [0-9a-f]+: /g, ' ').replaceAll(/ refcnt \d+/g, '').trim();
  return { links: links.map((link) => [link.ifname, link.address, link.mtu, addressesOf(link).sort()]), routes: routesOf(netns), limits };
}

function describeLink(link: Fields): unknown {
  const info = (link['linkinfo'] ?? {}) as Record<string, Fields | undefined>;
  const pick = (from: Fields | undefined, ...keys: readonly string[]): unknown => keys.map((key) => from?.[key]);
  const flags = (link['flags'] as readonly string[]).filter((flag) => flag === 'UP' || flag === 'NOARP');
  return [
    pick(link, 'ifname', 'mtu', 'master', 'ifalias', 'inet6_addr_gen_mode', 'group'), flags, String(link['ifname']).startsWith('weft-br') ? link['address'] : '',
    pick(info['info_data'], 'id', 'local', 'port', 'learning', 'stp_state', 'mcast_snooping'),
    pick(info['info_slave_data'], 'learning', 'flood', 'hairpin', 'mcast_flood', 'bcast_flood', 'isolated', 'proxy_arp', 'neigh_suppress'),
  ];
}
