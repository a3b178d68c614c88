/** Puts what FRR, the ledger and the kernel know side by side. Pure. */
import type { EvpnConf } from '../config/control-plane.ts';
import type { SeenRemotes } from '../datapath/remotes.ts';
import type { BgpSession, EvpnRoute } from '../frr/bgp-tables.ts';
import { addressesEqual, compareAddresses, formatAddress, type Address, type Mac, type Vni } from '../netaddr/netaddr.ts';
import type { AttachmentPort, RemoteEndpoint, Segment } from '../overlay/model.ts';
import type { EvpnEndpointReport, EvpnReport, EvpnTenantReport } from '../report/evpn.ts';

/** What there is of a tenant. */
export interface TenantView {
  readonly segment: Segment;
  /** The ledger's endpoints of this node. */
  readonly ports: readonly AttachmentPort[];
  readonly seen: SeenRemotes;
}

/** What FRR says; undefined where it cannot be asked. */
export interface FrrView {
  readonly sessions: readonly BgpSession[];
  readonly routes: readonly EvpnRoute[];
}

/** What is put side by side. */
export interface EvpnView {
  readonly conf: EvpnConf;
  readonly faults: readonly string[];
  readonly frr: FrrView | undefined;
  readonly tenants: readonly TenantView[];
}

/** The report; of FRR that cannot be asked nothing is said to disagree. */
export function reportEvpn({ conf, faults, frr, tenants }: EvpnView): EvpnReport {
  const views = tenants.map((tenant) => viewTenant(tenant, frr?.routes.filter((route) => route.isBest) ?? []));
  return {
    as: conf.as,
    isManaged: conf.managed,
    runDirectory: conf.runDirectory,
    faults,
    disagreements: frr === undefined ? [] : views.flatMap(({ disagreements }) => disagreements),
    sessions: (frr?.sessions ?? []).map(({ name, as, state, isUp, sinceMs, prefixesReceived, prefixesSent, reason }) => ({ neighbor: name, as, state, isUp, sinceMs: sinceMs ?? null, prefixesReceived, prefixesSent, problem: reason ?? null })),
    tenants: views.map(({ report }) => report),
    endpoints: views.flatMap(({ endpoints }) => endpoints),
  };
}

interface Viewed {
  readonly report: EvpnTenantReport;
  readonly endpoints: readonly EvpnEndpointReport[];
  readonly disagreements: readonly string[];
}

interface Known {
  readonly addresses: readonly Address[];
  /** Undefined: this node. */
  readonly vtep?: Address;
}

function viewTenant({ segment, ports, seen }: TenantView, routes: readonly EvpnRoute[]): Viewed {
  const { tenant, vni } = segment;
  const [own, received] = [endpointsIn(routes, { vni, kind: 'own' }), endpointsIn(routes, { vni, kind: 'received' })];
  const vteps = routes.flatMap((route) => (route.kind === 'vtep' && route.vni === vni && route.origin.kind === 'received' ? [route.nextHop] : []));
  const present = new Map(seen.present.map((endpoint) => [endpoint.mac, endpoint]));
  const local = new Map(ports.map(({ mac, addresses }) => [mac, addresses.map(({ address }) => address)]));
  const lost = segment.peers.filter((peer) => !vteps.some((vtep) => addressesEqual(vtep, peer)));
  const others = new Map<Mac, Known>([...seen.held, ...seen.present].map(({ mac, vtep, addresses }) => [mac, { vtep, addresses }]));
  for (const [mac, known] of received) others.set(mac, known);
  const rowOf = (mac: Mac, { addresses, vtep }: Known, isInBgp: boolean, isInKernel: boolean): EvpnEndpointReport =>
    ({ tenant, vni, mac, addresses: [...addresses].sort(compareAddresses).map(formatAddress), vtep: vtep === undefined ? null : formatAddress(vtep), isInBgp, isInKernel });
  return {
    report: { tenant, vni, vteps: vteps.map(formatAddress), lost: lost.map(formatAddress), advertised: own.size, received: received.size },
    endpoints: [
      ...[...local].map(([mac, addresses]) => rowOf(mac, { addresses }, own.has(mac), true)),
      ...[...others].map(([mac, known]) => rowOf(mac, known, received.has(mac), present.has(mac))),
    ],
    disagreements: [...ownDisagreements({ tenant, local, own }), ...remoteDisagreements({ tenant, received, present, lost, held: seen.held })],
  };
}

function endpointsIn(routes: readonly EvpnRoute[], { vni, kind }: { readonly vni: Vni; readonly kind: EvpnRoute['origin']['kind'] }): Map<Mac, Known> {
  const found = new Map<Mac, Known>();
  for (const route of routes) {
    if (route.kind !== 'endpoint' || route.vni !== vni || route.origin.kind !== kind) continue;
    const addresses = [...(found.get(route.mac)?.addresses ?? []), ...(route.address === undefined ? [] : [route.address])];
    found.set(route.mac, { addresses, ...(kind === 'own' ? {} : { vtep: route.nextHop }) });
  }
  return found;
}

function ownDisagreements({ tenant, local, own }: { readonly tenant: string; readonly local: ReadonlyMap<Mac, readonly Address[]>; readonly own: ReadonlyMap<Mac, Known> }): string[] {
  const missing = [...local].flatMap(([mac, addresses]) => {
    const advertised = own.get(mac)?.addresses;
    if (advertised === undefined) return [`tenant ${tenant}: ${mac} is attached here and not advertised`];
    return addresses.filter((address) => !advertised.some((other) => addressesEqual(other, address))).map((address) => `tenant ${tenant}: ${formatAddress(address)} of ${mac} is not advertised`);
  });
  const surplus = [...own.keys()].filter((mac) => !local.has(mac)).map((mac) => `tenant ${tenant}: ${mac} is advertised and belongs to no container here`);
  return [...missing, ...surplus];
}

interface RemoteSides {
  readonly tenant: string;
  readonly received: ReadonlyMap<Mac, Known>;
  readonly present: ReadonlyMap<Mac, RemoteEndpoint>;
  readonly held: readonly RemoteEndpoint[];
  readonly lost: readonly Address[];
}

function remoteDisagreements({ tenant, received, present, held, lost }: RemoteSides): string[] {
  const missing = [...received].flatMap(([mac, { vtep, addresses }]) => {
    const seen = present.get(mac);
    if (vtep === undefined) return [];
    if (seen !== undefined && addressesEqual(seen.vtep, vtep)) {
      const unknown = addresses.filter((address) => !seen.addresses.some((other) => addressesEqual(other, address)));
      return unknown.map((address) => `tenant ${tenant}: ${formatAddress(address)} is an address of ${mac} as BGP says, and the kernel does not know it`);
    }
    return [`tenant ${tenant}: ${mac} is at VTEP ${formatAddress(vtep)} as BGP says, and in the kernel ${seen === undefined ? 'nowhere' : `at ${formatAddress(seen.vtep)}`}`];
  });
  // What a lost VTEP had announced is kept on purpose.
  const kept = [...new Map([...held, ...present.values()].map((endpoint) => [endpoint.mac, endpoint])).values()].filter(({ mac, vtep }) => !received.has(mac) && !lost.some((peer) => addressesEqual(peer, vtep)));
  return [...missing, ...kept.map(({ mac, vtep }) => `tenant ${tenant}: the kernel has ${mac} at VTEP ${formatAddress(vtep)}, of which BGP says nothing`)];
}
