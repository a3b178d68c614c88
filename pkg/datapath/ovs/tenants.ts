/**
 * What tenants have on the integration bridge beside their ports: tunnel, gateway, and the flows that belong to no endpoint. Made with
 * a tenant's first attachment, and known from then on, so that further ones send no more than their own flows.
 *
 * The flow that replicates broadcast lists a tenant's ports as the switch's database has them: several processes may add ports at once,
 * and whoever sends the list last must have seen them all. So it is read again behind each sending.
 */
import { WeftError } from '../../errors/weft-error.ts';
import type { Flow, FlowMod } from '../../openflow/flow.ts';
import type { AttachmentPort, Segment } from '../../overlay/model.ts';
import { bridgeName, detourNames } from '../../overlay/names.ts';
import type { Vni } from '../../netaddr/netaddr.ts';
import { nextTurn } from '../../sys/timer.ts';
import { findEgress } from '../egress.ts';
import type { Kernel } from '../kernel.ts';
import { baseFlows, floodFlows, flowsOf, flowsOfPort, flowsOfTenant, segmentFlows, tables, type Receivers, type TenantNetwork } from './flows/flows.ts';
import { ensureDetour, hasDetour } from './detour.ts';
import { ensureGateway } from './gateway-port.ts';
import { localPorts, receivingPorts, tunnelOf, type OpenPort } from './rows.ts';
import type { DatapathType } from './switch/settings.ts';
import type { OvsSwitch } from './switch/switch.ts';
import { tunnelName } from './switch/tunnel.ts';

/** A tenant's segment as it was sent to the switch. */
interface Sent {
  readonly text: string;
  readonly network: Promise<TenantNetwork>;
}

/** How often the list of ports is sent anew because it has changed meanwhile, in one go. */
const floodsMax = 5;

/** The tenants of one switch. */
export class Tenants {
  readonly #switch: OvsSwitch;
  readonly #kernel: Kernel;
  readonly #sent = new Map<Vni, Sent>();
  readonly #flooding = new Map<Vni, Promise<void>>();
  /** Names of ports that are being removed: nothing is sent to them any more. */
  readonly #leaving = new Set<string>();
  #isUserspace = true;

  constructor(ovs: OvsSwitch, kernel: Kernel) {
    this.#switch = ovs;
    this.#kernel = kernel;
    ovs.onFlowsLost(() => this.#sent.clear());
  }

  /** The tenant's network, made where it is missing or has changed. @throws WeftError notAvailable, foreignObject, tryAgainLater */
  ensure(segment: Segment, ports: readonly AttachmentPort[] = []): Promise<TenantNetwork> {
    const text = textOf(segment);
    const present = this.#sent.get(segment.vni);
    if (present?.text === text && ports.length === 0) return this.#confirmed(segment, present);
    const network = this.#make(segment, ports);
    this.#sent.set(segment.vni, { text, network });
    network.catch(() => {
      if (this.#sent.get(segment.vni)?.network === network) this.#sent.delete(segment.vni);
    });
    return network;
  }

  /** What was sent, unless another process has removed the tunnel, the gateway or the detour since, believing that nobody needs it any more. */
  async #confirmed(segment: Segment, sent: Sent): Promise<TenantNetwork> {
    const network = await sent.network;
    if (this.#isThere(segment, network)) return network;
    if (this.#sent.get(segment.vni) === sent) this.#sent.delete(segment.vni);
    return this.ensure(segment);
  }

  #isThere(segment: Segment, { tunnel, gateway, detour }: TenantNetwork): boolean {
    const ports = this.#switch.ports();
    const { into, outOf } = detourNames(segment.vni);
    const wanted = [[tunnelName(tunnelOf(segment)), tunnel], [bridgeName(segment.vni), gateway], [into, detour?.into], [outOf, detour?.outOf]] as const;
    return wanted.every(([name, ofport]) => ofport === undefined || ports.get(name)?.ofport === ofport);
  }

  /** All of a tenant's flows anew, those of these ports too: what was there for it and is not wanted goes in the same step. */
  async #make(segment: Segment, ports: readonly AttachmentPort[]): Promise<TenantNetwork> {
    const { datapathType } = await this.#switch.ready();
    this.#isUserspace = datapathType === 'netdev';
    const fault = await this.describeWay(segment, datapathType);
    if (fault !== undefined) throw new WeftError('notAvailable', fault);
    const tunnel = await this.#switch.ensureTunnel(tunnelOf(segment));
    const gateway = segment.gateway === undefined ? undefined : await ensureGateway(this.#switch, this.#kernel, segment);
    const detour = hasDetour(segment, this.#isUserspace) ? await ensureDetour(this.#switch, this.#kernel, segment) : undefined;
    const network: TenantNetwork = { segment, tunnel, ...(gateway === undefined ? {} : { gateway }), ...(detour === undefined ? {} : { detour }) };
    // What was learned may be of a peer that is none any more.
    const replaced = (['segment', 'learned'] as const).map((kind): FlowMod => ({ kind: 'delete', filter: flowsOf({ kind, vni: segment.vni }) }));
    // Ports have none of these where there is no detour.
    if (detour === undefined) replaced.push({ kind: 'delete', filter: { ...flowsOfTenant(segment.vni), table: tables.limited } });
    await this.#switch.apply([...replaced, ...baseFlows([segment.vtepPort]).map(added), ...this.#flows(network, ports).map(added)]);
    return network;
  }

  #flows(network: TenantNetwork, ports: readonly AttachmentPort[]): readonly Flow[] {
    const { vni } = network.segment;
    return [
      ...segmentFlows(network), ...floodFlows(network, this.#present(receivingPorts, vni)),
      ...this.#present(localPorts, vni).flatMap(({ name, ofport }) => {
        const port = ports.find(({ hostIf }) => hostIf === name);
        return port === undefined ? [] : flowsOfPort(network, { ofport, port });
      }),
    ];
  }

  /** Whether ovs-vswitchd itself forwards, as far as is known. */
  get isUserspace(): boolean {
    return this.#isUserspace;
  }

  /** What of the tenant the userspace datapath cannot do, in words: it sends through its own bridges only, and says nothing where it cannot. */
  async describeWay({ peers }: Segment, datapathType: DatapathType): Promise<string | undefined> {
    for (const peer of peers) {
      const egress = findEgress(this.#kernel.route, peer);
      if (egress?.isUnicast !== true) continue;
      const fault = await this.#switch.checkVtep({ egressLink: egress.link.name, datapathType });
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  /** Tells the switch which ports the tenant's broadcast goes to; together with whoever asks for the same within this turn. */
  flood(network: Receivers): Promise<void> {
    const { vni } = network.segment;
    const present = this.#flooding.get(vni);
    if (present !== undefined) return present;
    const flooding = nextTurn().then(() => {
      this.#flooding.delete(vni);
      return this.#sendFlood(network);
    });
    this.#flooding.set(vni, flooding);
    return flooding;
  }

  async #sendFlood(network: Receivers): Promise<void> {
    const { vni } = network.segment;
    for (let attempt = 0; attempt < floodsMax; attempt += 1) {
      const ports = this.#present(receivingPorts, vni);
      // Another process may have removed the tenant with its last port, and does not know of what was sent behind that.
      if (this.#present(localPorts, vni).length === 0) return this.#switch.send(floodFlows(network, []).map((flow) => ({ kind: 'deleteStrict', flow })));
      if ('tunnel' in network && !this.#sent.has(vni)) return;
      await this.#switch.send(floodFlows(network, ports).map(added));
      if (ports.map(({ ofport }) => ofport).join() === this.#present(receivingPorts, vni).map(({ ofport }) => ofport).join()) return;
    }
  }

  #present(select: typeof localPorts, vni: Vni): readonly OpenPort[] {
    return select(this.#switch.ports(), vni).filter(({ name }) => !this.#leaving.has(name));
  }

  /** What of the tenant receives broadcast beside its containers, by the switch's rows where another process has sent it. */
  async receivers(vni: Vni): Promise<Receivers> {
    const gateway = this.#switch.ports().get(bridgeName(vni))?.ofport;
    return (await this.find(vni)?.catch(() => undefined)) ?? { segment: { vni }, ...(gateway === undefined ? {} : { gateway }) };
  }

  /** The tenant's network as it was sent last; undefined where none was. */
  find(vni: Vni): Promise<TenantNetwork> | undefined {
    return this.#sent.get(vni)?.network;
  }

  /** Forgets what was sent: the next that needs it sends it again. */
  forget(vni: Vni): void {
    this.#sent.delete(vni);
  }

  /** Forgets the tenant, whose flows go within the call. The promise is for whoever wants to know that they are gone. */
  remove(vni: Vni): Promise<void> {
    this.#sent.delete(vni);
    return this.#switch.send([{ kind: 'delete', filter: flowsOfTenant(vni) }]);
  }

  /** Runs while nothing is sent to the port any more. */
  async whileLeaving<T>(name: string, work: () => Promise<T>): Promise<T> {
    this.#leaving.add(name);
    try {
      return await work();
    } finally {
      this.#leaving.delete(name);
    }
  }
}

/** The change that puts the flow there, or in the place of one of its name. */
export function added(flow: Flow): FlowMod {
  return { kind: 'add', flow };
}

function textOf(segment: Segment): string {
  return JSON.stringify(segment, (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value));
}
