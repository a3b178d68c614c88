/**
 * Weft's way to the node's Open vSwitch: one bridge, its ports by the database and its flows by OpenFlow.
 *
 * It knows the names and external_ids of weft's rows and nothing of tenants. A daemon uses it for months; a plugin for one call, and ends
 * without closing it. Whatever is lost meanwhile, ovsdb-server or ovs-vswitchd, is connected to again; each call has its deadline.
 */
import { WeftError } from '../../../errors/weft-error.ts';
import type { ChangeBatch } from '../../../ovsdb/monitor.ts';
import type { Mac } from '../../../netaddr/netaddr.ts';
import type { PacketIn, PacketOut, SwitchEvent } from '../../../openflow/event.ts';
import type { FlowFilter, ListedFlow } from '../../../openflow/flow.ts';
import type { Group } from '../../../openflow/group.ts';
import { applyMods, listFlows, listGroups, probe, sendMods, sendPacket, type Mod } from '../../../openflow/openflow.ts';
import { uniqueSuffix } from '../../../sys/unique.ts';
import { BridgeKeeper } from './bridge-keeper.ts';
import { findSurplus, findUnreferenced, type NeededPorts } from './collect.ts';
import { SwitchConfiguration } from './configuration.ts';
import { Deadline } from './deadline.ts';
import { FlowChannel } from './flow-channel.ts';
import { findObstacle, withAdvice } from './obstacle.ts';
import { PortChanges, type PortsListener } from './port-changes.ts';
import { PortQueue } from './port-queue.ts';
import { Presence } from './presence.ts';
import { describeSettings, findBridge, findOccupant, isPortNumber, portsOf, type OwnBridge, type SwitchInterface, type SwitchPort, type SwitchRows, type Watched } from './rows.ts';
import { placeOf, type DatapathType, type OvsSettings, type SwitchOptions, type SwitchPlace } from './settings.ts';
import { removeUnreferenced, setExternalId, setMtu, setOptions } from './transactions.ts';
import { decodeTunnels, selectTunnels, type TunnelCounters } from './tunnel-counters.ts';
import { hasOptions, tunnelName, tunnelOptions, type TunnelSettings } from './tunnel.ts';
import { arrivalLinks, checkVtep, type EgressRoute } from './vtep.ts';

const deadlineMsDefault = 10_000;
const backOffMaxMsDefault = 5000;
/** So long a call waits for an answer that had better be made again later than wait, such as a DEL. */
const patienceMs = 1000;
/** So long STATUS waits for an answer, at most. */
const obstacleMs = 2000;
/** From so many changes on they are encoded in several turns, during which others may not get in between. */
const modsAtOnceMax = 400;

/** A port as callers ask for it. */
export interface PortSettings {
  /** At most 15 characters. */
  readonly name: string;
  /** By which callers know it again. Keys that begin with `weft` are weft's own. */
  readonly externalIds: Readonly<Record<string, string>>;
  /** Absent: a network device that is there. internal: one that ovs-vswitchd makes. */
  readonly type?: 'internal';
  /** Of an internal port. */
  readonly mac?: Mac;
  /** Of an internal port. @default the least of the bridge's ports */
  readonly mtu?: number;
  /** Whether one of the name that another process has added, or is adding, is as good. */
  readonly isShared?: boolean;
}

/** A switch that nobody connects to before its first use. */
export function openSwitch(settings: OvsSettings = {}, options: SwitchOptions = {}): OvsSwitch {
  return new OvsSwitch(placeOf(settings), options);
}

/** The switch; made by openSwitch(). For any number of callers at once. */
export class OvsSwitch {
  /** Asks as ready() does, for whoever would rather come again than wait: a second for a switch that has gone, and not at all for one that is known to be gone. */
  readonly presence: Presence;
  readonly #place: SwitchPlace;
  readonly #deadlineMs: number;
  readonly #configuration: SwitchConfiguration;
  readonly #keeper: BridgeKeeper;
  readonly #queue: PortQueue;
  readonly #channel: FlowChannel;
  readonly #changes: PortChanges;
  readonly #flowListeners = new Set<() => void>();
  readonly #packetListeners = new Set<(packet: PacketIn) => void>();
  #connecting: Promise<void> | undefined;
  #wasAsWanted = true;
  /** How many removeBridge() are under way. */
  #removals = 0;
  #removing: Promise<void> = Promise.resolve();
  /** Ports whose network device was gone when collect() looked last. */
  #dead: ReadonlySet<string> = new Set();

  constructor(place: SwitchPlace, { deadlineMs = deadlineMsDefault, backOffMaxMs = backOffMaxMsDefault, probeMs, onEvent }: SwitchOptions) {
    this.#place = place;
    this.#deadlineMs = deadlineMs;
    this.#changes = new PortChanges((name) => this.#queue.isBusy(name));
    const options = { backOffMaxMs, ...(probeMs === undefined ? {} : { probeMs }) };
    this.#configuration = new SwitchConfiguration(place.database, { ...options, onChange: (batch, rows) => this.#hear(batch, rows) });
    this.#keeper = new BridgeKeeper(this.#configuration, place);
    this.#queue = new PortQueue({ configuration: this.#configuration, requireBridge: (deadline) => this.#requireBridge(deadline), bridge: place.bridge, deadlineMs });
    const onRegained = (): void => this.#tellFlowsLost();
    const onNeeded = (): void => this.#connectFlows();
    const onAnyEvent = (event: SwitchEvent): void => {
      onEvent?.(event);
      if (event.kind === 'packetIn') for (const listener of [...this.#packetListeners]) listener(event);
    };
    this.#channel = new FlowChannel({ path: place.managementSocket, deadlineMs, backOffMaxMs, onEvent: onAnyEvent, onNeeded, onRegained });
    const describeOutage = (): string | undefined => this.#configuration.outage ?? this.#channel.outage;
    this.presence = new Presence({ ask: () => this.ready(), describeOutage, patienceMs: Math.min(patienceMs, deadlineMs) });
  }

  /**
   * Waits until the bridge is there and weft's, and the switch answers on it.
   * @returns who forwards on it
   * @throws WeftError foreignObject, invalidConfiguration (the bridge is of another datapath type), notAvailable (this Open vSwitch cannot make it),
   * tryAgainLater (a program of Open vSwitch does not answer), ioFailure (what answers is no Open vSwitch); in words that say what to change
   */
  async ready(): Promise<{ readonly datapathType: DatapathType }> {
    // Behind a removal that has begun: the bridge looks whole until it is gone, and whoever comes now has it made anew.
    await this.#removing;
    const deadline = new Deadline(this.#deadlineMs);
    try {
      const { datapathType } = await this.#requireBridge(deadline);
      await this.#channel.perform((connection, left) => probe(connection, left), { deadlineMs: deadline.deadlineMs });
      return { datapathType };
    } catch (error) {
      throw withAdvice(error, this.#place);
    }
  }

  /** Why an ADD cannot work with this Open vSwitch, in words that say what to change; undefined where it can. Changes nothing. */
  findObstacle(): Promise<string | undefined> {
    const patienceMs = Math.min(obstacleMs, this.#deadlineMs);
    const askSwitch = (deadlineMs: number): Promise<void> => {
      this.#channel.start();
      return this.#channel.perform((connection, deadline) => probe(connection, deadline), { deadlineMs });
    };
    return findObstacle({ place: this.#place, configuration: this.#configuration, keeper: this.#keeper, probe: askSwitch, patienceMs });
  }

  /** Who forwards on the bridge, or would on one that is yet to be made. Changes nothing. @throws WeftError as ready() does; OvsdbError */
  findDatapathType(): Promise<DatapathType> {
    return this.#keeper.findDatapathType(new Deadline(this.#deadlineMs));
  }

  /** Why tunnels do not reach the other nodes by the link, and what to do; undefined where they do. @throws OvsdbError */
  async checkVtep(route: EgressRoute): Promise<string | undefined> {
    return checkVtep(await this.#configuration.read(new Deadline(this.#deadlineMs)), this.#place.bridge, route);
  }

  /** The links by which packets of other nodes come in for an address that this link has, as far as is known. */
  arrivalLinks(vtepLink: string): readonly string[] {
    return this.isKnown ? arrivalLinks(this.#configuration.rows, vtepLink) : [vtepLink];
  }

  /**
   * The tunnel's port, added where it is missing and put right where it is not as it should be.
   * @returns its number
   * @throws WeftError as addPort() does
   */
  ensureTunnel(settings: TunnelSettings): Promise<number> {
    const name = tunnelName(settings);
    const options = tunnelOptions(settings);
    return this.#queue.inTurn(name, async () => {
      const ofport = await this.#mendTunnel(name, settings.type, options);
      return ofport ?? this.#queue.addInTurn({ name, role: 'tunnel', type: settings.type, options, externalIds: {}, token: uniqueToken(), isShared: true });
    });
  }

  /**
   * Adds a port in the place of one of its name that is weft's. Those of one turn of the event loop travel together.
   * @returns its number
   * @throws WeftError foreignObject (the name is somebody else's), kernelRefused (Open vSwitch cannot open it); as ready() does; OvsdbError.
   * The row is removed again.
   */
  addPort({ name, externalIds, type, mac, mtu, isShared = false }: PortSettings): Promise<number> {
    const own = { ...(mac === undefined ? {} : { mac }), ...(mtu === undefined ? {} : { mtu }) };
    return this.#queue.add({ name, role: 'port', type: type ?? '', ...own, externalIds, token: uniqueToken(), isShared });
  }

  /**
   * Removes ports, with whatever else is removed in this turn of the event loop. Fulfilled when the switch has closed them; no error where
   * there is none, or one that is not weft's.
   * @throws OvsdbError unavailable; notRealised where the rows are gone, and ovs-vswitchd has not closed the ports in time
   */
  removePorts(names: Iterable<string>): Promise<void> {
    return this.#queue.remove(names);
  }

  /** Weft's ports and tunnels on the bridge by name, as they are known now. @throws WeftError tryAgainLater while they are not: await ready() first */
  ports(): ReadonlyMap<string, SwitchPort> {
    const bridge = findBridge(this.#configuration.rows, this.#place.bridge);
    return bridge.kind === 'own' ? portsOf(this.#configuration.rows, bridge) : new Map();
  }

  /** Whether the bridge is one that ovs-vswitchd itself forwards for; false while that is not known. */
  get isUserspace(): boolean {
    const bridge = this.isKnown ? findBridge(this.#configuration.rows, this.#place.bridge) : undefined;
    return bridge?.kind === 'own' && bridge.datapathType === 'netdev';
  }

  /** What weft's tunnels have carried, some seconds ago; none while the database is not connected to. @throws OvsdbError */
  async readTunnelCounters(deadlineMs: number): Promise<readonly TunnelCounters[]> {
    const results = await this.#configuration.ask([selectTunnels()], new Deadline(deadlineMs));
    return results === undefined ? [] : decodeTunnels(results[0]);
  }

  /** Whether ports() can say. */
  get isKnown(): boolean {
    return this.#configuration.isKnown;
  }

  /**
   * Gives a port of weft's a value of external_ids, or none; nothing where there is no such port.
   * @throws WeftError as ready() does; OvsdbError
   */
  markPort(name: string, mark: { readonly key: string; readonly value: string | undefined }): Promise<void> {
    return this.#queue.inTurn(name, async () => {
      const deadline = new Deadline(this.#deadlineMs);
      const occupant = findOccupant(this.#configuration.rows, await this.#requireBridge(deadline), name);
      if (occupant.kind === 'own') await this.#configuration.transact(setExternalId(occupant.interface, mark), deadline);
    });
  }

  /**
   * Gives a port of weft's that ovs-vswitchd makes itself another MTU, in bytes; nothing where there is no such port.
   * @throws WeftError as ready() does; OvsdbError
   */
  resizePort(name: string, mtu: number): Promise<void> {
    return this.#queue.inTurn(name, async () => {
      const deadline = new Deadline(this.#deadlineMs);
      const occupant = findOccupant(this.#configuration.rows, await this.#requireBridge(deadline), name);
      if (occupant.kind === 'own') await this.#configuration.transact(setMtu(occupant.interface, mtu), deadline);
    });
  }

  /**
   * How the bridge is set otherwise than weft needs it, in words; undefined where it is not. ready() puts it right. A change of its fail
   * mode takes all flows, and without `secure` every port is open to every other. @throws as ports()
   */
  describeBridge(): string | undefined {
    return describeSettings(this.#configuration.rows, this.#place.bridge);
  }

  /**
   * Carries changes out all or none, so that no packet sees some of them only. Calls keep their order: what comes later waits for it.
   * @throws OpenFlowError refused, late; WeftError tryAgainLater (there is no switch), as ready() does
   */
  apply(mods: readonly Mod[]): Promise<void> {
    if (mods.length === 0) return Promise.resolve();
    return this.#channel.perform((connection, deadline) => applyMods(connection, mods, deadline), { isBarrier: true });
  }

  /** Carries changes out each for itself, in one round trip. Calls keep their order. @throws as apply() does; where one is refused the others are done */
  send(mods: readonly Mod[]): Promise<void> {
    if (mods.length === 0) return Promise.resolve();
    return this.#channel.perform((connection, deadline) => sendMods(connection, mods, deadline), { isBarrier: mods.length > modsAtOnceMax });
  }

  /** Every flow of which all of the filter is true. @throws as apply() does */
  listFlows(filter: FlowFilter = {}): Promise<readonly ListedFlow[]> {
    return this.#channel.perform((connection, deadline) => listFlows(connection, filter, deadline));
  }

  /** Every group. @throws as apply() does */
  listGroups(): Promise<readonly Group[]> {
    return this.#channel.perform((connection, deadline) => listGroups(connection, deadline));
  }

  /** Has the switch send a packet; where the connection is lost meanwhile, perhaps twice. @throws as apply() does */
  sendPacket(packet: PacketOut): Promise<void> {
    return this.#channel.perform((connection, deadline) => sendPacket(connection, packet, deadline));
  }

  /**
   * Calls the function when the connection to the switch is back after it was lost: it may have been restarted, or the bridge made
   * anew, and have no flows and groups; and when somebody has set the bridge otherwise, which takes them too. It must not throw.
   * @returns a function that ends it
   */
  onFlowsLost(listener: () => void): () => void {
    this.#flowListeners.add(listener);
    return () => this.#flowListeners.delete(listener);
  }

  /** Calls the function with packets that flows send to the controller, while there is a connection. It must not throw. @returns a function that ends it */
  onPacketIn(listener: (packet: PacketIn) => void): () => void {
    this.#packetListeners.add(listener);
    return () => this.#packetListeners.delete(listener);
  }

  /**
   * Calls the function with the names of weft's ports that have gone or changed without this switch having been asked for it; that a link
   * went up or down is not told. It must not throw.
   * @returns a function that ends it
   */
  onPortsChanged(listener: PortsListener): () => void {
    return this.#changes.onChange(listener);
  }

  /** Removes the bridge with everything on it; nothing where it is not there. Flows that are being changed then are not. @throws WeftError foreignObject; OvsdbError */
  removeBridge(): Promise<void> {
    return this.#whileRemoving(() => this.#keeper.remove(new Deadline(this.#deadlineMs)));
  }

  /** As removeBridge(), while there is no port on it but tunnels. @returns whether it was removed */
  removeUnusedBridge(): Promise<boolean> {
    return this.#whileRemoving(() => this.#keeper.removeUnused(new Deadline(this.#deadlineMs)));
  }

  /** One behind the other: whoever finds nothing to remove must not be done before it is gone. */
  async #whileRemoving<R>(remove: () => Promise<R>): Promise<R> {
    this.#removals += 1;
    const before = this.#removing;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#removing = promise;
    try {
      await before;
      return await remove();
    } finally {
      this.#removals -= 1;
      resolve();
    }
  }

  /**
   * Removes what is weft's and belongs to nothing: ports, tunnels, QoS and Queue rows; and needed ports whose network device was gone
   * already the last time. What belongs to nothing is found within the call; a port somebody is at work on stays.
   * @returns what was removed, in words
   * @throws WeftError tryAgainLater while the rows are not known: await ready() first; OvsdbError
   */
  async collect(needed: NeededPorts): Promise<readonly string[]> {
    const { rows } = this.#configuration;
    const bridge = findBridge(rows, this.#place.bridge);
    const surplus = bridge.kind === 'own' ? findSurplus(rows, { bridge, needed, deadBefore: this.#dead }) : undefined;
    this.#dead = surplus?.dead ?? new Set();
    const ports = [...(surplus?.ports ?? [])].filter(([name]) => !this.#queue.isBusy(name));
    await this.#queue.remove(ports.map(([name]) => name));
    return [...ports.map(([, words]) => words), ...(await this.#removeUnreferenced())];
  }

  /** Ends it, for good; who still waits is told. */
  async close(): Promise<void> {
    this.presence.close();
    await Promise.all([this.#channel.close(), this.#configuration.close()]);
  }

  async #requireBridge(deadline: Deadline): Promise<OwnBridge> {
    const bridge = await this.#keeper.require(deadline);
    this.#channel.start();
    return bridge;
  }

  /** Until the bridge is known to be weft's nobody connects to it: its flows could be somebody else's. */
  #connectFlows(): void {
    if (this.#removals > 0) return this.#channel.fail(new WeftError('tryAgainLater', `The bridge ${this.#place.bridge} was removed meanwhile`));
    this.#connecting ??= this.#requireBridge(new Deadline(this.#deadlineMs))
      .then(() => undefined, (error: unknown) => this.#channel.fail(error))
      .finally(() => (this.#connecting = undefined));
  }

  /** @returns the number of the tunnel's port where it is there and works, with its options put right; undefined where it has to be added */
  async #mendTunnel(name: string, type: string, options: Readonly<Record<string, string>>): Promise<number | undefined> {
    const deadline = new Deadline(this.#deadlineMs);
    const bridge = await this.#requireBridge(deadline);
    const occupant = findOccupant(this.#configuration.rows, bridge, name);
    if (occupant.kind !== 'own') return undefined;
    const read = (): SwitchInterface | undefined => this.#configuration.rows.table('Interface').get(occupant.interface);
    const found = read();
    if (found === undefined || found.type !== type || !isPortNumber(found.ofport)) return undefined;
    const isRight = hasOptions(found.options, options);
    if (!isRight) await this.#configuration.transact(setOptions(occupant.interface, options), deadline);
    const mended = isRight ? found : read();
    return (mended?.error ?? '') === '' && isPortNumber(mended?.ofport) ? mended?.ofport : undefined;
  }

  async #removeUnreferenced(): Promise<readonly string[]> {
    const { qos, queues } = findUnreferenced(this.#configuration.rows);
    if (qos.length + queues.length === 0) return [];
    await this.#configuration.transact([...removeUnreferenced('QoS', qos), ...removeUnreferenced('Queue', queues)], new Deadline(this.#deadlineMs));
    const words = (table: string) => (uuid: string): string => `the ${table} ${uuid} of Open vSwitch, which no port uses`;
    return [...qos.map(words('QoS')), ...queues.map(words('Queue'))];
  }

  #hear(batch: ChangeBatch<Watched>, rows: SwitchRows): void {
    this.#changes.take(batch, rows);
    const bridge = findBridge(rows, this.#place.bridge);
    if (this.#channel.isStarted && bridge.kind !== 'own') this.#channel.rest();
    const isAsWanted = bridge.kind !== 'own' || bridge.isAsWanted;
    if (!isAsWanted && this.#wasAsWanted) this.#tellFlowsLost();
    this.#wasAsWanted = isAsWanted;
  }

  #tellFlowsLost(): void {
    for (const listener of [...this.#flowListeners]) listener();
  }
}

function uniqueToken(): string {
  tokens += 1;
  return `${uniqueSuffix()}.${tokens}`;
}
let tokens = 0;
