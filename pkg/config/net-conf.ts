/**
 * The network configuration: unknown JSON in, typed values out.
 *
 * Settings come from three places: the plugin's configuration, the tenant's entry in the node configuration, the node
 * configuration itself; the first that says something wins. Every key is checked by itself first, then what the values
 * say together; each of the two reports everything it finds in one message.
 */
import type { JsonObject } from '../cni/json-value.ts';
import type { CniDns } from '../cni/result.ts';
import { requireVersion, type CniVersion } from '../cni/versions.ts';
import { WeftError } from '../errors/weft-error.ts';
import { ipv6MinimumMtuBytes, type Encapsulation } from '../mtu/overhead.ts';
import { formatAddress, type Address, type Mac, type Vni } from '../netaddr/netaddr.ts';
import type { Bandwidth } from '../overlay/model.ts';
import { smallerOf } from './bandwidth-conf.ts';
import type { ControlPlaneName } from './control-plane.ts';
import { defaultPort, findWiringFaults, type DatapathName } from './datapath-conf.ts';
import { noEndpointArgs, type EndpointArgs, type Pod } from './endpoint-args.ts';
import { findUnfitForEvpn } from './evpn-fit.ts';
import { formatPath, throwFaults } from './faults.ts';
import type { IpamConf } from './ipam-conf.ts';
import { controlPlaneOf, type NodeConf } from './node-model.ts';
import { readPluginConf, type PluginConf } from './plugin-conf.ts';
import { withoutAbsent } from './readers.ts';
import { findDouble, mergeRequests, requestOfArgs } from './requests.ts';
import { mergeSettings, type MtuPolicy, type TenantSettings, type VtepConf } from './settings.ts';
import { chooseTenant, describeNode, type TenantChoice } from './tenant-choice.ts';

export type { IpamConf } from './ipam-conf.ts';

/** One tenant's network as it applies to one container; nothing in it contradicts anything else. */
export interface NetConf {
  readonly cniVersion: CniVersion;
  readonly network: string;
  readonly tenant: string;
  readonly vni: Vni;
  readonly datapath: DatapathName;
  /** geneve only with the datapath ovs. */
  readonly encapsulation: Encapsulation;
  /** The node's; with evpn there are no peers, and the VTEP's address is IPv4. */
  readonly controlPlane: ControlPlaneName;
  /** This node's tunnel end point. Without interface and address it is where the default route goes. */
  readonly vtep: VtepConf & { readonly port: number };
  /** The other VTEPs, each once, all of one family; vtep.address is not among them. */
  readonly peers: readonly Address[];
  /** Bytes, of the endpoints' interfaces; absent: derived from the underlay. */
  readonly mtu?: number;
  readonly mtuPolicy: MtuPolicy;
  readonly isGateway: boolean;
  /** Only with isGateway. */
  readonly ipMasq: boolean;
  readonly ipam: IpamConf;
  readonly requestedMac?: Mac;
  /** Each once; whether the pool has them is for ipam's placeRequested(). */
  readonly requestedAddresses: readonly Address[];
  /** The identity that keeps its address and MAC (WEFT_ENDPOINT). */
  readonly endpoint?: string;
  readonly pod?: Pod;
  readonly dns?: CniDns;
  /** Limits of the container, the smaller of what the runtime asks for and what each of the tenant's has. */
  readonly bandwidth?: Bandwidth;
  /** Limits of all the tenant's containers on this node together. */
  readonly tenantBandwidth?: Bandwidth;
}

/** What a network configuration is read against: the node, and the one container. */
export interface NetConfContext {
  readonly node: NodeConf;
  readonly args: EndpointArgs;
}

/**
 * Reads a network configuration for one container.
 *
 * @throws WeftError incompatibleVersion (code 1), unsupportedField (code 2) or invalidConfiguration (code 7)
 */
export function parseNetConf(json: JsonObject, { node, args }: NetConfContext): NetConf {
  const cniVersion = requireVersion(json['cniVersion']);
  const plugin = readPluginConf(json);
  const choice = chooseTenant({ network: plugin.name, ...withoutAbsent({ tenant: plugin.tenant, namespace: args.pod?.namespace }) }, node);
  return resolve({ cniVersion, plugin, choice, node, args });
}

/**
 * Every network that the configuration may stand for while nobody says for which container, as in STATUS: one, unless
 * the pods' namespaces choose the tenant.
 *
 * @throws WeftError as parseNetConf() does, for any of them
 */
export function parsePossibleNetConfs(json: JsonObject, node: NodeConf): readonly NetConf[] {
  const cniVersion = requireVersion(json['cniVersion']);
  const plugin = readPluginConf(json);
  const isOpen = plugin.tenant === undefined;
  const byNamespace = node.tenants.filter(({ namespaces }) => isOpen && namespaces !== undefined);
  const choices = byNamespace.map((conf): TenantChoice => ({ name: conf.name, conf, isByNamespace: true }));
  const named = chooseTenant({ network: plugin.name, ...withoutAbsent({ tenant: plugin.tenant }) }, node);
  return [...choices, ...(choices.length === 0 || isForOthers(named) ? [named] : [])].map((choice) => resolve({ cniVersion, plugin, choice, node, args: noEndpointArgs }));
}

interface Sources extends NetConfContext {
  readonly cniVersion: CniVersion;
  readonly plugin: PluginConf;
  readonly choice: TenantChoice;
}

function resolve({ cniVersion, plugin, choice, node, args }: Sources): NetConf {
  const settings = mergeSettings([plugin, choice.conf ?? {}, node]);
  const controlPlane = controlPlaneOf(node);
  if (controlPlane === 'evpn') refuseUnfit(settings);
  const { vni, datapath = 'bridge', encapsulation = 'vxlan', vtep = {}, peers = [], mtu, mtuPolicy = 'refuse', isGateway = false, ipMasq = false, ipam = { type: 'none' } } = settings;
  if (vni === undefined) throw missingVni(choice, { node, args });
  const { addresses, mac } = mergeRequests([plugin.runtimeConfig ?? {}, plugin.args?.cni ?? {}, requestOfArgs(args)]);
  const limits = choice.conf?.bandwidth ?? {};
  const conf: NetConf = {
    cniVersion,
    network: plugin.name,
    tenant: choice.name,
    vni,
    datapath,
    encapsulation,
    controlPlane,
    vtep: { port: defaultPort(encapsulation), ...vtep },
    peers: othersOf(peers, vtep.address),
    mtuPolicy,
    isGateway,
    ipMasq,
    ipam,
    requestedAddresses: addresses,
    ...withoutAbsent({ mtu, requestedMac: mac, endpoint: args.endpoint ?? plugin.args?.cni?.endpoint, pod: args.pod, dns: plugin.dns, bandwidth: smallerOf(plugin.runtimeConfig?.bandwidth, limits.each), tenantBandwidth: limits.together }),
  };
  const faults = [...findVniFaults(conf.vni, { plugin, choice, node }), ...findContradictions(conf)];
  if (faults.length > 0) throw new WeftError('invalidConfiguration', faults.join('; '));
  return conf;
}

/** What the node's and the tenant's own entries have of it was refused when they were read. */
function refuseUnfit(settings: TenantSettings): void {
  throwFaults(findUnfitForEvpn(settings), ({ path, message }) => `${formatPath(path)} ${message}`);
}

/** The tenant named as the network takes the pods that no pattern matches, if the node configuration has it. */
function isForOthers({ conf }: TenantChoice): boolean {
  return conf !== undefined && conf.namespaces === undefined;
}

function missingVni({ name, conf }: TenantChoice, { node, args }: NetConfContext): WeftError {
  const namespace = args.pod?.namespace;
  const isByNamespace = node.tenants.some((tenant) => tenant.namespaces !== undefined);
  if (conf === undefined && isByNamespace && namespace !== undefined) {
    return new WeftError('invalidConfiguration', `the pod's namespace must belong to a tenant: ${namespace} matches no namespaces under tenants of ${describeNode(node)}`, {
      details: "add it to a tenant's namespaces, or write tenant and vni into the network configuration",
    });
  }
  return new WeftError('invalidConfiguration', `vni must be given: write it into the network configuration, or into the entry of tenant ${name} under tenants of ${describeNode(node)}`);
}

/** Each address once, without the node's own: the same list may so be written on every node. */
function othersOf(peers: readonly Address[], own: Address | undefined): readonly Address[] {
  const byText = new Map(peers.map((peer) => [formatAddress(peer), peer]));
  if (own !== undefined) byText.delete(formatAddress(own));
  return [...byText.values()];
}

/** A VNI is a tenant's: whatever would give it to two is refused, for it would make one network of them. */
function findVniFaults(vni: Vni, { plugin, choice, node }: Pick<Sources, 'plugin' | 'choice' | 'node'>): readonly string[] {
  const owner = node.tenants.find((tenant) => tenant.vni === vni && tenant.name !== choice.name);
  if (owner !== undefined) return [`vni must be one that no other tenant has: ${vni} is tenant ${owner.name}'s in ${describeNode(node)}`];
  if (!choice.isByNamespace || plugin.vni === undefined || plugin.vni === choice.conf?.vni) return [];
  return [`vni must be left out where the pod's namespace chooses the tenant, for every tenant would get it: write it into the entry of tenant ${choice.name} under tenants of ${describeNode(node)}`];
}

function findContradictions(conf: NetConf): readonly string[] {
  return [...findWiringFaults(conf), ...findGatewayFaults(conf), ...findMtuFaults(conf), ...findPeerFaults(conf), ...findRequestFaults(conf)];
}

function findGatewayFaults({ isGateway, ipMasq, ipam }: NetConf): readonly string[] {
  if (ipMasq && !isGateway) return ['ipMasq needs isGateway: set isGateway to true, or ipMasq to false'];
  if (!isGateway || ipam.type === 'delegate') return [];
  const hasGateway = ipam.type === 'weft' && ipam.pool.sets.flat().some(({ gateway }) => gateway !== undefined);
  return hasGateway ? [] : ['isGateway needs a gateway address: give a range of ipam a gateway'];
}

function findMtuFaults({ mtu, ipam }: NetConf): readonly string[] {
  const hasIpv6 = ipam.type === 'weft' && ipam.pool.sets.flat().some(({ subnet }) => subnet.family === 6);
  if (mtu === undefined || mtu >= ipv6MinimumMtuBytes || !hasIpv6) return [];
  return [`mtu must be at least ${ipv6MinimumMtuBytes} for the IPv6 ranges of ipam: current value is ${mtu}`];
}

function findPeerFaults({ vtep, peers }: NetConf): readonly string[] {
  const [reference = peers[0]] = vtep.address === undefined ? [] : [vtep.address];
  const stranger = peers.find(({ family }) => family !== reference?.family);
  if (reference === undefined || stranger === undefined) return [];
  const place = vtep.address === undefined ? 'the first peer' : 'vtep.address';
  return [`peers must be of the family of ${place}, ${formatAddress(reference)}: current value is ${formatAddress(stranger)}`];
}

function findRequestFaults({ requestedAddresses, ipam }: NetConf): readonly string[] {
  if (ipam.type === 'none' && requestedAddresses.length > 0) return ['an address can be requested only where ipam is configured: configure ipam, or request none'];
  const double = findDouble(requestedAddresses);
  return double === undefined ? [] : [double];
}
