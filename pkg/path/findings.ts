/** What has been found of the paths to other nodes, what follows from it for MTUs, and who is told. */
import { isDeepStrictEqual } from 'node:util';
import type { PathConf } from '../config/path-conf.ts';
import type { Log } from '../log/log.ts';
import { ipv6MinimumMtuBytes, overheadBytes } from '../mtu/overhead.ts';
import type { PathKnowledge } from '../mtu/path-knowledge.ts';
import { addressesEqual, formatAddress, type Address, type Family } from '../netaddr/netaddr.ts';
import { comparePaths, describeNarrowPath, type PathStatus } from '../report/paths.ts';
import type { FindingsFile, RememberedFinding } from './findings-file.ts';
import type { ProbeWay } from './prober.ts';
import { newTrack, type Track } from './track.ts';

/** Between two VTEPs, as this node sees it. */
export interface Path {
  /** This node's. */
  readonly vtep: Address;
  readonly peer: Address;
}

/** Names a path. */
export function pathKey({ vtep, peer }: Path): string {
  return `${formatAddress(vtep)} ${formatAddress(peer)}`;
}

/** What decides what follows from a finding. */
export type ActConf = Pick<PathConf, 'act' | 'mtuMin'>;

/** Below this no MTU is lowered, bytes of an outer packet: by default what carries an IPv6 packet of the least size that everybody must take (RFC 8200 §5). */
export function mtuMinOf({ mtuMin }: Pick<PathConf, 'mtuMin'>, family: Family): number {
  return mtuMin ?? ipv6MinimumMtuBytes + overheadBytes('vxlan', family);
}

/** What a process without a daemon knows: what one has written down. It is read when it is first asked for. */
export function rememberedKnowledge(file: Pick<FindingsFile, 'read'>): PathKnowledge {
  let knowledge: PathKnowledge | undefined;
  return { narrowest: (peers) => (knowledge ??= knowledgeOf(file.read().filter((finding) => finding.isActedOn === true))).narrowest(peers) };
}

function knowledgeOf(acted: readonly ActedOn[]): PathKnowledge {
  return {
    narrowest(peers) {
      const sizes = acted.filter(({ peer }) => peers.some((candidate) => addressesEqual(candidate, peer))).map(({ packetBytes }) => packetBytes);
      return sizes.length === 0 ? undefined : Math.min(...sizes);
    },
  };
}

function isActedOn({ peer, packetBytes }: Pick<RememberedFinding, 'peer' | 'packetBytes'>, conf: ActConf): boolean {
  return conf.act === 'lower' && packetBytes >= mtuMinOf(conf, peer.family);
}

export interface PathFindingsParts {
  readonly log: Log;
  /** This node's name. */
  readonly node: () => string;
  readonly file: FindingsFile;
  /** narrowest() may say something else from now on. */
  readonly onChange: (reason: string) => void;
}

type ActedOn = Pick<RememberedFinding, 'peer' | 'packetBytes'>;

interface Entry {
  readonly path: Path;
  readonly tracks: Map<ProbeWay, Track>;
}

/** The findings of a daemon; those of an earlier one hold until they are disproved. */
export class PathFindings implements PathKnowledge {
  readonly #parts: PathFindingsParts;
  readonly #entries = new Map<string, Entry>();
  /** What peers call their nodes, by VTEP. */
  readonly #names = new Map<string, string>();
  #conf: ActConf;
  #knowledge: PathKnowledge;
  #acted: readonly ActedOn[] = [];

  constructor(parts: PathFindingsParts, conf: ActConf) {
    this.#parts = parts;
    this.#conf = conf;
    for (const { vtep, peer, way, fullBytes, packetBytes, since, peerNode } of parts.file.read()) {
      this.#entry({ vtep, peer }).tracks.set(way, newTrack(fullBytes, { packetBytes, since }));
      if (peerNode !== undefined) this.#names.set(formatAddress(peer), peerNode);
    }
    this.#acted = this.#actedOn();
    this.#knowledge = knowledgeOf(this.#acted);
  }

  narrowest(peers: readonly Address[]): number | undefined {
    return this.#knowledge.narrowest(peers);
  }

  /** Another configuration. */
  follow(conf: ActConf): void {
    this.#conf = conf;
    this.#conclude('the configuration says so');
  }

  /** What is known of a way; undefined before the first look of this daemon or an earlier one. */
  trackOf(path: Path, way: ProbeWay): Track | undefined {
    return this.#entries.get(pathKey(path))?.tracks.get(way);
  }

  /** What is known of it from now on. Says where a finding begins, changes and ends. */
  note(path: Path, way: ProbeWay, track: Track): void {
    const entry = this.#entry(path);
    const before = statusOf(entry, this.#conf, this.#nameOf(path.peer));
    entry.tracks.set(way, track);
    const after = statusOf(entry, this.#conf, this.#nameOf(path.peer));
    if (before.narrow?.packetBytes === after.narrow?.packetBytes && before.narrow?.way === after.narrow?.way) return;
    // Underlay and tunnel become wide one after the other: the same size once more is nothing new.
    if (before.narrow?.packetBytes !== after.narrow?.packetBytes) this.#say(before, after);
    this.#remember();
    this.#conclude(`the path to ${formatAddress(path.peer)} carries ${after.narrow?.packetBytes ?? after.fullBytes} bytes`);
  }

  /** A peer says what its node is called. */
  name(peer: Address, node: string): void {
    if (node !== '') this.#names.set(formatAddress(peer), node);
  }

  /** Keeps these paths alone: others lead to no peer of any tenant any more. */
  keep(paths: readonly Path[]): void {
    const keys = new Set(paths.map(pathKey));
    const gone = [...this.#entries].filter(([key]) => !keys.has(key));
    if (gone.length === 0) return;
    for (const [key, { path }] of gone) {
      this.#entries.delete(key);
      this.#names.delete(formatAddress(path.peer));
    }
    this.#remember();
    this.#conclude('peers have gone');
  }

  /** All paths, those that want to be seen first before the others. */
  get paths(): readonly PathStatus[] {
    return [...this.#entries.values()].map((entry) => statusOf(entry, this.#conf, this.#nameOf(entry.path.peer))).sort(comparePaths);
  }

  #say(before: PathStatus, after: PathStatus): void {
    const { log, node } = this.#parts;
    const { vtep, peer, peerNode, narrow, fullBytes } = after;
    const fields = { node: node(), vtep, peer, peerNode, fullBytes };
    if (narrow === undefined) log.warn({ code: 'path-wide', ...fields, packetBytes: fullBytes, way: before.narrow?.way }, `the path from ${node()} (${vtep}) to ${peerNode ?? 'the node'} (${peer}) carries packets of ${fullBytes} bytes again`);
    else log.warn({ code: 'path-narrow', ...fields, packetBytes: narrow.packetBytes, way: narrow.way, isActedOn: narrow.isActedOn }, describeNarrowPath({ ...after, narrow }, node()));
  }

  #remember(): void {
    const found = this.#found().map((finding) => {
      const peerNode = this.#nameOf(finding.peer);
      return { ...finding, isActedOn: isActedOn(finding, this.#conf), ...(peerNode === undefined ? {} : { peerNode }) };
    });
    this.#parts.file.write(found);
  }

  #conclude(reason: string): void {
    const acted = this.#actedOn();
    this.#knowledge = knowledgeOf(acted);
    if (isDeepStrictEqual(acted, this.#acted)) return;
    this.#acted = acted;
    this.#remember();
    this.#parts.onChange(reason);
  }

  #found(): readonly RememberedFinding[] {
    return [...this.#entries.values()].flatMap(({ path, tracks }) => [...tracks].flatMap(([way, { narrow, fullBytes }]) => (narrow === undefined ? [] : [{ ...path, way, fullBytes, ...narrow }])));
  }

  /** Peers and sizes that MTUs follow. */
  #actedOn(): readonly ActedOn[] {
    return this.#found().filter((finding) => isActedOn(finding, this.#conf)).map(({ peer, packetBytes }) => ({ peer, packetBytes }));
  }

  #entry(path: Path): Entry {
    const entry = this.#entries.get(pathKey(path)) ?? { path, tracks: new Map() };
    this.#entries.set(pathKey(path), entry);
    return entry;
  }

  #nameOf(peer: Address): string | undefined {
    return this.#names.get(formatAddress(peer));
  }
}

/** Both ways together: what passes neither of them passes nowhere, and a tunnel that is as narrow as its underlay is not what is narrow. */
function statusOf({ path, tracks }: Entry, conf: ActConf, peerNode: string | undefined): PathStatus {
  const [underlay, tunnel] = [tracks.get('underlay'), tracks.get('tunnel')];
  const isTunnel = tunnel?.narrow !== undefined && tunnel.narrow.packetBytes < (underlay?.narrow?.packetBytes ?? Infinity);
  const narrow = isTunnel ? tunnel.narrow : underlay?.narrow;
  const shown = (isTunnel ? tunnel : underlay) ?? tunnel;
  return {
    vtep: formatAddress(path.vtep), peer: formatAddress(path.peer), ...(peerNode === undefined ? {} : { peerNode }),
    state: narrow === undefined ? (shown?.state ?? 'unknown') : 'narrow',
    fullBytes: shown?.fullBytes ?? 0,
    ...(narrow === undefined ? {} : { narrow: { ...narrow, way: isTunnel ? 'tunnel' as const : 'underlay' as const, isActedOn: isActedOn({ peer: path.peer, packetBytes: narrow.packetBytes }, conf) } }),
    ...(shown?.proof === undefined ? {} : { proof: shown.proof }),
  };
}
