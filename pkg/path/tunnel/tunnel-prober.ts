/** Probes inside the tunnel: what is asked of a peer goes through a VXLAN device to the peer's, as the tenants' frames do. */
import type { ProbeTunnels } from '../../datapath/probe-tunnels.ts';
import { describeError } from '../../errors/weft-error.ts';
import { overheadBytes } from '../../mtu/overhead.ts';
import { addressesEqual, type Address } from '../../netaddr/netaddr.ts';
import type { ProbeTunnel } from '../../overlay/probe.ts';
import { SystemCallError } from '../../sys/libc.ts';
import type { Probe, ProbeOutcome, Prober } from '../prober.ts';
import { questionBytesMin } from './frame.ts';
import { Station } from './station.ts';

export interface TunnelProberOptions {
  readonly tunnels: ProbeTunnels;
  /** This node's name, which answers carry. */
  readonly node: () => string;
  /** Bytes; what the kernel knows of the way to a VTEP by links, routes and what routers said. Undefined where no route leads there. */
  readonly routeMtu: (peer: Address) => number | undefined;
  /** A tunnel has stopped working, as when somebody deleted its device: follow() puts it right. */
  readonly onLoss: () => void;
}

/** The least length of an outer packet, in bytes, that can be a probe over an underlay of the family. */
export function probeBytesMin(family: Address['family']): number {
  return questionBytesMin + overheadBytes('vxlan', family);
}

/** The tunnels of a node, open as long as somebody calls follow() with them. */
export class TunnelProber implements Prober {
  readonly way = 'tunnel';
  readonly #options: TunnelProberOptions;
  #stations: readonly Station[] = [];
  #faults: readonly string[] = [];
  /** Names of those that were wanted last; undefined at first, when an earlier daemon may have left others. */
  #kept: string | undefined;

  constructor(options: TunnelProberOptions) {
    this.#options = options;
  }

  /** The ends that are open. */
  get stations(): readonly Station[] {
    return this.#stations;
  }

  /** Why some are not, in words. */
  get faults(): readonly string[] {
    return this.#faults;
  }

  /** Whether the VTEP is at the other end of a tunnel. Of others probe() hears nothing. */
  serves(peer: Address): boolean {
    return this.#find(peer) !== undefined;
  }

  /** Has these tunnels and no others from now on; what is asked meanwhile of one that stays as it is is not disturbed. Returns whether anything is new. */
  async follow(wanted: readonly ProbeTunnel[]): Promise<boolean> {
    const before = this.#stations;
    const [stations, faults]: [Station[], string[]] = [[], []];
    for (const tunnel of wanted) {
      try {
        stations.push(this.#open(tunnel));
      } catch (error) {
        faults.push(`no packet is probed inside the tunnel ${tunnel.name}: ${describeError(error)}`);
      }
    }
    this.#stations = stations;
    this.#faults = faults;
    for (const station of before) if (!stations.includes(station)) station.close();
    const names = wanted.map(({ name }) => name).join(' ');
    if (names !== this.#kept) await this.#options.tunnels.removeOthers(wanted);
    this.#kept = names;
    return stations.some((station) => !before.includes(station));
  }

  /** @throws RangeError for a packet of fewer bytes than probeBytesMin() */
  async probe({ peer, packetBytes, deadlineMs }: Probe): Promise<ProbeOutcome> {
    const station = this.#find(peer);
    if (station === undefined) return { kind: 'silent' };
    const overhead = overheadBytes('vxlan', peer.family);
    const mtuBytes = this.#options.routeMtu(peer);
    if (mtuBytes !== undefined && packetBytes > mtuBytes) return { kind: 'tooBig', mtuBytes };
    try {
      const reply = await station.ask(peer, { kind: 'whole', packetBytes: packetBytes - overhead, isLeft: false }, deadlineMs);
      return reply === undefined ? { kind: 'silent' } : { kind: 'answered', milliseconds: reply.milliseconds };
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      return error.code === 'EMSGSIZE' ? { kind: 'tooBig', mtuBytes: station.device.tunnel.underlayMtu } : { kind: 'silent' };
    }
  }

  /** Closes all, and leaves the devices where they are: follow([]) removes them. */
  close(): void {
    for (const station of this.#stations) station.close();
    this.#stations = [];
  }

  #find(peer: Address): Station | undefined {
    return this.#stations.find((station) => station.serves(peer));
  }

  #open(tunnel: ProbeTunnel): Station {
    const device = this.#options.tunnels.ensure(tunnel);
    const present = this.#stations.find((station) => station.device.index === device.index && station.isOpen && hasSamePeers(station.device.tunnel, tunnel));
    return present ?? new Station({ device, node: this.#options.node(), onFailure: () => this.#options.onLoss() });
  }
}

function hasSamePeers(a: ProbeTunnel, b: ProbeTunnel): boolean {
  return a.name === b.name && a.underlayMtu === b.underlayMtu && a.peers.length === b.peers.length && a.peers.every((peer, index) => addressesEqual(peer, b.peers[index] as Address));
}
