/** `weft status`: is this node well, and if not, what is to be done. */
import type { NodeConf } from '../config/node-model.ts';
import type { DaemonStatus } from './daemon-status.ts';
import { contentOf, type DaemonState, type NodeState } from './node-state.ts';
import { findPathFaults } from './paths.ts';
import type { PoolReport } from './pools.ts';
import { reportTenants, type TenantReport } from './tenants.ts';
import { compareTexts, countOf } from './text.ts';

/** What `weft status -o json` prints. Every key is always there; keys may be added. */
export interface StatusReport {
  /** True when nothing needs attention: the exit status is 0 then, else 1. */
  readonly isWell: boolean;
  /** What needs attention, and what to do about it, in words. */
  readonly attention: readonly string[];
  /** What one might want to know and need do nothing about, in words. */
  readonly remarks: readonly string[];
  /** Of the weft that reports. */
  readonly version: string;
  readonly daemon: {
    readonly state: DaemonState['kind'];
    readonly socket: string;
    /** What the daemon says of itself; null unless it runs. */
    readonly status: DaemonStatus | null;
    readonly problem: string | null;
  };
  readonly configuration: { readonly state: 'absent' | 'valid' | 'invalid'; readonly path: string; readonly problem: string | null };
  readonly ledger: { readonly state: 'absent' | 'readable' | 'unreadable'; readonly path: string; readonly problem: string | null };
  readonly counts: {
    readonly tenants: number;
    readonly endpoints: number;
    /** Endpoints whose ADD or DEL was begun by a process that has ended. */
    readonly interrupted: number;
    /** DELs that are written down, to be done by a later call. */
    readonly pendingDels: number;
  };
  /** By name. */
  readonly tenants: readonly TenantUse[];
}

/** What a tenant uses of this node. */
export interface TenantUse {
  readonly tenant: string;
  readonly vni: number | null;
  /** Ports of the tenant's bridge. */
  readonly endpoints: number;
  readonly endpointsMax: number;
  readonly pools: readonly PoolReport[];
}

/** What a status is made of. */
export interface StatusQuestion {
  readonly node: NodeState;
  readonly daemon: DaemonState;
  readonly socket: string;
  /** Of the weft that reports. */
  readonly version: string;
}

/** Looks at everything, and judges it. */
export function reportStatus({ node, daemon, socket, version }: StatusQuestion): StatusReport {
  const tenants = reportTenants(node);
  const { attachments, segments } = contentOf(node);
  const attention = [
    ...findLedgerFaults(node), ...findConfigurationFaults(node), ...findDaemonFaults(daemon, node),
    ...tenants.flatMap(findTenantFaults), ...findInterrupted(node), ...findPendingFaults(node),
  ];
  return {
    isWell: attention.length === 0,
    attention,
    remarks: [...daemonRemarks(daemon, { socket, version }), ...ledgerRemarks(node)],
    version,
    daemon: { state: daemon.kind, socket, status: daemon.kind === 'running' ? daemon.status : null, problem: daemon.kind === 'faulty' ? daemon.problem : null },
    configuration: { state: node.configuration.kind, path: node.configurationPath, problem: node.configuration.kind === 'invalid' ? node.configuration.problem : null },
    ledger: { state: node.ledger.kind, path: node.ledgerPath, problem: node.ledger.kind === 'unreadable' ? node.ledger.problem : null },
    counts: { tenants: segments.length, endpoints: attachments.length, interrupted: node.interrupted.size, pendingDels: node.pendingDels.entries.length },
    tenants: tenants.map(({ tenant, vni, endpoints, endpointsMax, pools }) => ({ tenant, vni, endpoints, endpointsMax, pools })),
  };
}

function findLedgerFaults({ ledger }: NodeState): readonly string[] {
  return ledger.kind === 'unreadable' ? [`the ledger: ${ledger.problem}`] : [];
}

function findConfigurationFaults({ configuration }: NodeState): readonly string[] {
  return configuration.kind === 'invalid' ? [`the node configuration: ${configuration.problem}`] : [];
}

function findDaemonFaults(daemon: DaemonState, { configuration }: NodeState): readonly string[] {
  if (daemon.kind === 'absent') return configuration.kind === 'valid' ? findNeeds(configuration.conf) : [];
  if (daemon.kind === 'faulty') return [`the daemon: ${daemon.problem}`];
  const { configError, reconciler, controlPlaneFaults = [], migrationFaults = [], offloadFaults = [], metricsFaults = [], paths, node: name } = daemon.status;
  const refused = configError === undefined ? [] : [`the daemon has refused the node configuration and keeps the one before: ${configError}`];
  const pathFaults = paths === undefined ? [] : findPathFaults(paths, name);
  return [...refused, ...controlPlaneFaults, ...migrationFaults, ...pathFaults, ...offloadFaults, ...metricsFaults, ...reconciler.openFaults.map((fault) => `the reconciler could not repair: ${fault}`)];
}

/** What the configuration asks for that a daemon alone can do. */
function findNeeds({ controlPlane, migration, metrics }: NodeConf): readonly string[] {
  return [
    ...(controlPlane?.type === 'evpn' ? ['the daemon does not run, and controlPlane.type "evpn" needs it: nobody listens to FRR'] : []),
    ...(migration === undefined ? [] : ['the daemon does not run, and migration needs it: no endpoint comes or goes']),
    ...(metrics === undefined ? [] : ['the daemon does not run, and metrics needs it: nobody tells them']),
  ];
}

function findTenantFaults({ tenant, vni, endpoints, endpointsMax, pools }: TenantReport): readonly string[] {
  const name = vni === null ? `tenant ${tenant}` : `tenant ${tenant} (VNI ${vni})`;
  const full = endpoints < endpointsMax ? [] : [`${name} has ${countOf(endpoints, 'endpoint')}, and no more fit on its bridge: place others on another node`];
  const exhausted = pools.filter(({ free }) => free <= 0);
  return [...full, ...exhausted.map(({ ranges }) => `${name} has no free address in ${ranges.join(', ')}: enlarge the range, remove endpoints, or give up kept addresses with \`weft forget\``)];
}

function findInterrupted(node: NodeState): readonly string[] {
  const records = contentOf(node).attachments.filter(({ seq }) => node.interrupted.has(seq));
  const names = records.map(({ key, tenant }) => `${key.containerId} ${key.ifName} of tenant ${tenant}`).sort(compareTexts);
  return names.map((name) => `an ADD or DEL of container ${name} was interrupted: its next DEL, or a GC, removes what is left`);
}

/** How long a written-down DEL may wait before it is said: the next call on the node should have done it. */
const pendingMsMax = 10 * 60_000;

function findPendingFaults({ pendingDels, now }: NodeState): readonly string[] {
  const late = pendingDels.entries.filter(({ del }) => now - del.requestedAt > pendingMsMax);
  return [
    ...late.map(({ path, del }) => `the DEL of container ${del.containerId} ${del.ifName}, written down in ${path}, still waits: no call was made since, or the calls' log says why it fails`),
    ...pendingDels.unreadable.map(({ path, reason }) => `the DEL written down in ${path} cannot be read (${reason}): remove the file once that container is gone`),
  ];
}

function daemonRemarks(daemon: DaemonState, { socket, version }: { readonly socket: string; readonly version: string }): readonly string[] {
  if (daemon.kind === 'absent') return [`no daemon is listening on ${socket}: every call runs alone`];
  if (daemon.kind === 'faulty' || daemon.status.version === version) return [];
  return [`the daemon is version ${daemon.status.version}, this weft ${version}: restarting the daemon upgrades it`];
}

/** What explains an empty or short list of endpoints. */
export function ledgerRemarks({ ledger, ledgerPath }: NodeState): readonly string[] {
  if (ledger.kind === 'absent') return [`there is no ledger at ${ledgerPath}: no container was attached on this node yet`];
  if (ledger.kind === 'unreadable' || ledger.leftByLastBoot === 0) return [];
  return [`${countOf(ledger.leftByLastBoot, 'endpoint')} of the last boot ended with it: the next call clears the ledger of them`];
}
