/** What a daemon says of itself, put together from its parts; one that is just starting does not have all of them. */
import { hostname } from 'node:os';
import type { CallLog } from '../../pkg/daemon/call-log.ts';
import type { LiveNodeConf } from '../../pkg/daemon/live-node-conf.ts';
import type { Evpn } from '../../pkg/evpn/evpn.ts';
import type { Paths } from '../../pkg/path/paths.ts';
import type { Reconciler } from '../../pkg/reconcile/reconciler.ts';
import type { DaemonStatus } from '../../pkg/report/daemon-status.ts';
import type { NodeMetrics } from './node-metrics.ts';
import type { NodeMigrations } from './node-migrations.ts';
import type { NodeProbes } from './node-probes.ts';
import { version } from './version.ts';

/** What is asked. */
export interface DescribedDaemon {
  readonly startedAt: number;
  readonly callLog: Pick<CallLog, 'inFlight' | 'counts'>;
  readonly conf: Pick<LiveNodeConf, 'current' | 'fault'> | undefined;
  readonly reconciler: Pick<Reconciler, 'status'> | undefined;
  readonly evpn: Pick<Evpn, 'faults'> | undefined;
  readonly migrations: Pick<NodeMigrations, 'faults'> | undefined;
  readonly paths: Pick<Paths, 'status'> | undefined;
  readonly probes: Pick<NodeProbes, 'faults'> | undefined;
  readonly metrics: Pick<NodeMetrics, 'faults'> | undefined;
}

/** The answer to the question `status`. */
export function describeDaemon({ startedAt, callLog, conf, reconciler, evpn, migrations, paths, probes, metrics }: DescribedDaemon): DaemonStatus {
  const [faults, migrationFaults, offloadFaults, metricsFaults] = [evpn, migrations, probes, metrics].map((part) => part?.faults ?? []) as [readonly string[], readonly string[], readonly string[], readonly string[]];
  return {
    version, pid: process.pid, startedAt, node: conf?.current.node ?? hostname(),
    ...(conf?.current.path === undefined ? {} : { configPath: conf.current.path }),
    ...(conf?.fault === undefined ? {} : { configError: conf.fault }),
    callsInFlight: callLog.inFlight,
    calls: callLog.counts,
    reconciler: reconciler?.status ?? { passes: 0, repairs: [], openFaults: [] },
    ...(faults.length === 0 ? {} : { controlPlaneFaults: faults }),
    ...(migrationFaults.length === 0 ? {} : { migrationFaults }),
    ...(paths === undefined ? {} : { paths: paths.status }),
    ...(offloadFaults.length === 0 ? {} : { offloadFaults }),
    ...(metricsFaults.length === 0 ? {} : { metricsFaults }),
    memoryBytes: process.memoryUsage.rss(),
  };
}
