/**
 * The daemon's part in probes inside the tunnel: a probe tunnel for each VTEP that has peers, and whoever tests what the devices on the way do
 * with checksums and segmentation. `prober` is for whoever looks for the size that gets through.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { EngineParts } from '../../pkg/attachment/engine-parts.ts';
import type { NodeConf } from '../../pkg/config/node-model.ts';
import { offloadDefaults } from '../../pkg/config/offload-conf.ts';
import type { OpenKernel } from '../../pkg/datapath/kernel.ts';
import { linuxBridgeProbeTunnels } from '../../pkg/datapath/linuxbridge/probe-tunnel.ts';
import { findRouteMtu } from '../../pkg/datapath/route-mtu.ts';
import { describeError } from '../../pkg/errors/weft-error.ts';
import type { Log } from '../../pkg/log/log.ts';
import { decodeLinkName } from '../../pkg/netlink/link.ts';
import { isLinkEvent, type KernelEvent } from '../../pkg/netlink/monitor.ts';
import { decodeFdb, fdbChangeOf, floodMac } from '../../pkg/netlink/neighbour.ts';
import { sparesPrefix, vxlanPrefix } from '../../pkg/overlay/names.ts';
import { damagedTable } from '../../pkg/nftables/nftables.ts';
import { describeUnprobed, probeTunnels } from '../../pkg/overlay/probe.ts';
import type { Segment } from '../../pkg/overlay/model.ts';
import { OffloadKeeper } from '../../pkg/path/tunnel/offload-keeper.ts';
import { kernelOffloads } from '../../pkg/path/tunnel/offload-remedy.ts';
import { TunnelProber } from '../../pkg/path/tunnel/tunnel-prober.ts';
import { startTimer } from '../../pkg/sys/timer.ts';
import { uniqueSuffix } from '../../pkg/sys/unique.ts';

export interface NodeProbesParts {
  readonly engine: EngineParts;
  /** Of the node's own namespace, which the thread is in. */
  readonly kernel: OpenKernel;
  readonly log: Log;
  readonly stateDirectory: string;
}

/** From the first event to the look at what tunnels there are to be: a new tenant's device gets what is off on the others soon, and an ADD has ended. */
const gatherMs = 50;
/** From damage to the guard to the look at what the tunnels have in it: by then the reconciler has mended the rest. */
const mendedMs = 500;
/** From a look that has failed, such as one that the reconciler was not done before, to the next. */
const againMs = 5000;

/** One for a daemon. */
export class NodeProbes {
  /** Asks peers whether packets of a size reach them inside the tunnel. */
  readonly prober: TunnelProber;
  readonly #parts: NodeProbesParts;
  readonly #keeper: OffloadKeeper;
  #conf: NodeConf | undefined;
  #following: Promise<void> = Promise.resolve();
  /** Looks that are to come, by how long they wait: one that comes soon does not stand for one that is to come when something else is done. */
  readonly #looks = new Map<number, () => void>();
  #isStopped = false;
  #unprobed: readonly string[] = [];

  constructor(parts: NodeProbesParts) {
    const { kernel, log, engine, stateDirectory } = parts;
    const tunnels = linuxBridgeProbeTunnels(kernel);
    const path = join(stateDirectory, 'offload.json');
    const node = (): string => this.#conf?.node ?? hostname();
    this.#parts = parts;
    this.prober = new TunnelProber({ tunnels, node, routeMtu: (peer) => findRouteMtu(kernel.route, peer), onLoss: () => this.#soon() });
    this.#keeper = new OffloadKeeper({
      ends: () => this.prober.stations, devices: kernelOffloads, namesOf: (vtep) => tunnels.namesOf(vtep), node, now: engine.now, log,
      load: () => readIfThere(path), save: (text) => replaceFile(path, text),
    });
  }

  /** Does what the configuration says from now on; fulfilled when the tunnels are there. */
  follow(conf: NodeConf): Promise<void> {
    this.#conf = conf;
    return this.#queue(async () => {
      await this.#follow();
      this.#keeper.follow(conf.offload ?? offloadDefaults);
    });
  }

  /** Tests offloads now: somebody asks for it. */
  look(): void {
    void this.#queue(async () => {
      await this.#follow();
      this.#keeper.look();
    });
  }

  /** What the kernel says has changed. */
  noteEvents(events: readonly KernelEvent[]): void {
    if (this.#conf === undefined) return;
    if (!this.#looks.has(gatherMs) && events.some(concernsTunnels)) this.#soon();
    if (!this.#looks.has(mendedMs) && events.some(({ protocol, message }) => protocol === 'netfilter' && message.portId !== this.#parts.kernel.netfilter.portId && damagedTable(message) !== undefined)) this.#soon(mendedMs);
  }

  /** Events were lost. */
  noteOverrun(): void {
    this.#soon();
  }

  /** What does not work, in words. */
  get faults(): readonly string[] {
    return [...this.#unprobed, ...this.prober.faults, ...this.#keeper.faults];
  }

  /** Ends it. The tunnels go as well, but for a daemon that takes over. What is off stays so: the data plane does not change with the daemon. */
  async stop({ isReplaced }: { readonly isReplaced: boolean }): Promise<void> {
    this.#isStopped = true;
    for (const cancel of this.#looks.values()) cancel();
    this.#looks.clear();
    this.prober.close();
    await this.#keeper.stop();
    await this.#following;
    if (!isReplaced && this.#conf !== undefined) await this.#try(async () => void (await this.prober.follow([])));
  }

  #soon(ms = gatherMs): void {
    if (this.#isStopped || this.#looks.has(ms)) return;
    this.#looks.set(ms, startTimer(ms, () => {
      this.#looks.delete(ms);
      void this.#queue(() => this.#follow());
    }));
  }

  async #follow(): Promise<void> {
    const segments = this.#segments();
    this.#unprobed = describeUnprobed(segments);
    const isNew = await this.prober.follow(probeTunnels(segments));
    this.#keeper.noteDevices();
    if (isNew) this.#keeper.noteWays();
  }

  #segments(): readonly Segment[] {
    return this.#parts.engine.ledger().read((tx) => tx.listSegments().map((entry) => entry.segment));
  }

  #queue(work: () => Promise<void>): Promise<void> {
    this.#following = this.#following.then(() => (this.#isStopped ? undefined : this.#try(work)));
    return this.#following;
  }

  async #try(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#parts.log.warn({ code: 'probe-tunnels', error: describeError(error) }, 'the tunnels for probes are not as they should be');
      this.#soon(againMs);
    }
  }
}

/** Devices of tenants and of probes, and who is on a flood list. */
function concernsTunnels(event: KernelEvent): boolean {
  const { protocol, nsid, message } = event;
  if (isLinkEvent(event)) {
    const name = decodeLinkName(message);
    return [vxlanPrefix, sparesPrefix].some((prefix) => name.startsWith(prefix));
  }
  return protocol === 'route' && nsid === undefined && fdbChangeOf(message) !== undefined && decodeFdb(message)?.mac === floodMac;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whoever reads it sees the old text or the new one. */
function replaceFile(path: string, text: string): void {
  const draft = `${path}.${uniqueSuffix()}.new`;
  try {
    writeFileSync(draft, text, { mode: 0o600, flush: true });
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}
