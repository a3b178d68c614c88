/** What is to be done so that the node has of a tenant's remote endpoints what it should. Pure. */
import type { SeenRemotes } from '../datapath/remotes.ts';
import { addressesEqual, formatAddress, type Mac } from '../netaddr/netaddr.ts';
import type { RemoteEndpoint } from '../overlay/model.ts';
import type { Announced, Retained } from './retention.ts';

/** Each step may be empty. */
export interface RemotePlan {
  /** To be put into the spare tunnel. */
  readonly hold: readonly RemoteEndpoint[];
  /** To be put back where FRR has taken it away. */
  readonly restore: readonly RemoteEndpoint[];
  /** To be removed wherever it is. */
  readonly drop: readonly RemoteEndpoint[];
}

/** What is compared. */
export interface RemoteComparison {
  readonly kept: Retained;
  readonly announced: Announced;
  readonly seen: SeenRemotes;
  /** Whether the MAC is an endpoint's of this node. */
  readonly isLocal: (mac: Mac) => boolean;
  /** Whether an endpoint of this node that moves has it, and is on the other node: where that is known, its migration says. */
  readonly isAway: (mac: Mac) => boolean;
}

/** Compares what is to be kept with what there is. */
export function planRemotes({ kept, announced, seen, isLocal, isAway }: RemoteComparison): RemotePlan {
  const [held, present] = [byMac(seen.held), byMac(seen.present)];
  const keptMacs = new Set(kept.endpoints.map(({ mac }) => mac));
  const announcedMacs = new Set(announced.endpoints.map(({ mac }) => mac));
  const heard = new Set(announced.vteps.map(formatAddress));
  // One that is withdrawn stays for a moment where it is, and FRR has its way.
  const isWithdrawn = ({ mac, vtep }: RemoteEndpoint): boolean => announced.isHearing && heard.has(formatAddress(vtep)) && !announcedMacs.has(mac);
  return {
    hold: kept.endpoints.filter((endpoint) => !isWhole(held.get(endpoint.mac), endpoint)),
    restore: kept.endpoints.filter((endpoint) => !isWhole(present.get(endpoint.mac), endpoint) && !isWithdrawn(endpoint)),
    drop: [...present.values(), ...held.values()].filter(({ mac }) => !keptMacs.has(mac) && !isAway(mac)).flatMap((endpoint) => surplus(endpoint, { announced, isLocal })),
  };
}

/** Of an endpoint that is here by now, its neighbours are this node's. What nobody knows while nothing can be heard may have been announced before. */
function surplus(endpoint: RemoteEndpoint, { announced, isLocal }: { readonly announced: Announced; readonly isLocal: (mac: Mac) => boolean }): RemoteEndpoint[] {
  if (isLocal(endpoint.mac)) return [{ ...endpoint, addresses: [] }];
  return announced.isHearing ? [endpoint] : [];
}

function byMac(endpoints: readonly RemoteEndpoint[]): Map<Mac, RemoteEndpoint> {
  return new Map(endpoints.map((endpoint) => [endpoint.mac, endpoint]));
}

function isWhole(seen: RemoteEndpoint | undefined, wanted: RemoteEndpoint): boolean {
  return seen !== undefined && addressesEqual(seen.vtep, wanted.vtep) && wanted.addresses.every((address) => seen.addresses.some((other) => addressesEqual(other, address)));
}
