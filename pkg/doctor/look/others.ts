/** Looks at others' devices and sockets, at offloads, and at what runs out. */
import { readFileSync, statfsSync, statSync } from 'node:fs';
import type { Kernel } from '../../datapath/kernel.ts';
import { decodeNeighbour, listNeighbours } from '../../netlink/ip-neighbour.ts';
import { decodeLink, listLinks } from '../../netlink/link.ts';
import { contentOf } from '../../report/node-state.ts';
import { readDriver } from '../../sys/ethtool-driver.ts';
import { readFeatures } from '../../sys/ethtool-features.ts';
import type { ConflictFacts, UdpSocket } from '../conflicts.ts';
import type { OffloadFacts } from '../offloads.ts';
import type { ResourceFacts } from '../resources.ts';
import type { Surroundings } from './surroundings.ts';
import { lookAtUnderlay } from './underlay.ts';

/** VXLAN devices and UDP sockets of this node, whoever has them. @throws NetlinkError */
export function lookForConflicts({ kernel, node }: Surroundings): ConflictFacts {
  const links = kernel.route.dump(listLinks()).map(decodeLink);
  return {
    segments: contentOf(node).segments.map(({ segment }) => segment),
    devices: links.flatMap(({ name, isUp, vxlan }) => (vxlan === undefined ? [] : [{ name, isUp, vni: vxlan.vni, port: vxlan.port }])),
    sockets: ['udp', 'udp6'].flatMap((table) => parseUdpSockets(tryRead(`/proc/self/net/${table}`))),
  };
}

/** The sockets of /proc/net/udp and udp6 (net/ipv4/udp.c, udp4_format_sock): a head, and lines with the local address, a colon and the port, in hexadecimal. */
export function parseUdpSockets(table: string): readonly UdpSocket[] {
  return [...table.matchAll(/^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) /gm)].map(([, port = '']) => ({ port: Number.parseInt(port, 16) }));
}

/** The links of the VTEPs. @throws NetlinkError, SystemCallError */
export function lookAtOffloads(surroundings: Surroundings): readonly OffloadFacts[] {
  const links = new Set(lookAtUnderlay(surroundings).flatMap(({ link }) => link?.name ?? []));
  return [...links].map((link) => ({ link, driver: readDriver(link), featuresOn: new Set([...readFeatures(link)].filter(([, { on }]) => on).map(([name]) => name)) }));
}

/** Disk, tables. @throws NetlinkError */
export function lookAtResources({ kernel, node, stateDirectory }: Surroundings): ResourceFacts {
  const [count, max] = ['nf_conntrack_count', 'nf_conntrack_max'].map((name) => kernel.readSysctl(['netfilter', name]));
  return {
    stateDirectory,
    ...readFree(stateDirectory),
    walBytes: sizeOf(`${node.ledgerPath}-wal`),
    conntrack: count === undefined || max === undefined ? undefined : { count: Number(count), max: Number(max) },
    neighbours: readNeighbours(kernel),
  };
}

function readFree(directory: string): Pick<ResourceFacts, 'freeBytes' | 'freeInodes'> {
  try {
    const { bavail, bsize, files, ffree } = statfsSync(directory);
    // File systems that make inodes as they need them say that they have none.
    return { freeBytes: bavail * bsize, freeInodes: files === 0 ? undefined : ffree };
  } catch {
    return { freeBytes: undefined, freeInodes: undefined };
  }
}

/** The limits are the first network namespace's, for all of them together; elsewhere they are not to be seen. */
function readNeighbours({ route, readSysctl }: Kernel): ResourceFacts['neighbours'] {
  // What is permanent or a control plane's is never collected, and does not count (net/core/neighbour.c, gc_entries).
  const counted = route.dump(listNeighbours()).map(decodeNeighbour).filter((neighbour) => neighbour !== undefined && !neighbour.isPermanent && !neighbour.isExternal);
  return ([4, 6] as const).flatMap((family) => {
    const max = readSysctl([`ipv${family}`, 'neigh', 'default', 'gc_thresh3']);
    return max === undefined ? [] : [{ family, count: counted.filter((neighbour) => neighbour?.address.family === family).length, max: Number(max) }];
  });
}

function sizeOf(path: string): number {
  try {
    return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  } catch {
    return 0; // Root's alone.
  }
}

function tryRead(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
