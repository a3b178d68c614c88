/** What is looked at for a scrape. Whoever looks does the input; the text is made of it. */
import type { DaemonStatus } from '../report/daemon-status.ts';
import type { PoolReport } from '../report/pools.ts';
import type { RecentProbes } from '../report/paths.ts';
import type { Traffic } from './traffic.ts';

/** An attachment; pod is `namespace/name`, or the name alone. */
export interface EndpointSample {
  readonly tenant: string;
  readonly network: string;
  readonly containerId: string;
  readonly interface: string;
  readonly pod?: string;
  readonly state: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** Of its host interface. */
  readonly linkName: string;
  /** As the container sees it; undefined where the interface is not there. */
  readonly traffic?: Traffic;
  /** Of the host interface: another one when it was made anew. */
  readonly linkIndex?: number;
}

/** A tenant of the ledger; sizes are bytes. */
export interface TenantSample {
  readonly tenant: string;
  readonly vni: number;
  readonly datapath: string;
  readonly encapsulation: string;
  readonly controlPlane: string;
  readonly overlayMtu: number;
  readonly underlayMtu: number;
  readonly endpointsMax: number;
  readonly pools: readonly PoolReport[];
}

/** An interface of the node, as the node sees it. */
export interface DeviceSample {
  readonly device: string;
  /** Absent: it carries several tenants. */
  readonly tenant?: string;
  readonly traffic: Traffic;
}

/** What probes of one way to a peer have measured; times are milliseconds. */
export interface MeasurementSample {
  readonly vtep: string;
  readonly peer: string;
  readonly way: string;
  readonly totals: { readonly sent: number; readonly lost: number; readonly roundTripMs: number };
  readonly recent: RecentProbes;
}

/** What the ledger has; undefined in a snapshot where it could not be read. */
export interface LedgerSample {
  readonly endpoints: readonly EndpointSample[];
  readonly tenants: readonly TenantSample[];
  /** By phase. */
  readonly migrating: ReadonlyMap<string, number>;
}

/** A node at one moment. */
export interface NodeSnapshot {
  readonly status: DaemonStatus;
  readonly cpuSeconds: number;
  readonly repairs: ReadonlyMap<string, number>;
  readonly ledger?: LedgerSample;
  /** Bytes, by what the file is. */
  readonly ledgerFiles: ReadonlyMap<string, number>;
  readonly pendingDels: number;
  readonly sessions: readonly { readonly neighbor: string; readonly isUp: boolean; readonly prefixesReceived: number }[];
  readonly measurements: readonly MeasurementSample[];
  readonly tunnels: readonly DeviceSample[];
  readonly underlays: readonly DeviceSample[];
}
