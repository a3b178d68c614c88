/** A status for people: first what needs attention, then the rest. */
import type { DaemonStatus } from './daemon-status.ts';
import { renderPaths, summarizePaths } from './paths.ts';
import type { PoolReport } from './pools.ts';
import type { StatusReport, TenantUse } from './status.ts';
import { countOf, formatAge, formatTime, printable, renderTable, shorten, type Cell } from './text.ts';

/** How many of the latest repairs are shown; JSON has them all. */
const repairsShown = 5;

/** @param now milliseconds since the epoch */
export function renderStatus(status: StatusReport, now: number): string {
  const parts = [renderHead(status), renderTable(fieldsOf(status, now))];
  if (status.tenants.length > 0) parts.push(renderTenantUse(status.tenants));
  const paths = status.daemon.status?.paths;
  if (paths !== undefined && paths.paths.length > 0) parts.push(renderPaths(paths, now));
  return parts.join('\n');
}

function renderHead({ isWell, attention, remarks }: StatusReport): string {
  const head = isWell ? ['weft is well'] : ['weft needs attention:', ...attention.map((line) => `  - ${line}`)];
  return [...head, ...remarks].map((line) => `${printable(line)}\n`).join('');
}

function fieldsOf(status: StatusReport, now: number): readonly (readonly Cell[])[] {
  const { daemon, configuration, ledger, counts } = status;
  const things = [countOf(counts.tenants, 'tenant'), countOf(counts.endpoints, 'endpoint'), `${counts.interrupted} interrupted`, `${countOf(counts.pendingDels, 'DEL')} written down for later`];
  return [
    ['version', status.version],
    ['daemon', daemon.status === null ? daemonWords[daemon.state] : describeDaemon(daemon.status, now)],
    ...(daemon.status === null ? [] : [['calls', describeCalls(daemon.status)], ['reconciler', describeReconciler(daemon.status, now)], ...(daemon.status.paths === undefined ? [] : [['paths', summarizePaths(daemon.status.paths)]])]),
    ['configuration', configuration.state === 'absent' ? `none: ${configuration.path} is not there, and need not be` : `${configuration.path}, ${configuration.state}`],
    ['ledger', `${ledger.path}, ${ledger.state}`],
    ['this node', things.join(', ')],
  ];
}

const daemonWords = { absent: 'none', faulty: 'does not answer as it should', running: 'running' } as const;
const bytesPerMebibyte = 1024 * 1024;

function describeDaemon({ version, pid, startedAt, node, configPath, memoryBytes }: DaemonStatus, now: number): readonly string[] {
  return [
    `process ${pid}, version ${version}, since ${formatTime(startedAt)} (${formatAge(now - startedAt)})`,
    `node ${node}, ${configPath === undefined ? 'without a configuration' : `configuration ${configPath}`}, ${Math.round(memoryBytes / bytesPerMebibyte)} MiB of memory`,
  ];
}

function describeCalls({ calls, callsInFlight }: DaemonStatus): string {
  const verbs = Object.entries(calls).map(([verb, { ok, failed }]) => `${verb} ${ok}${failed === 0 ? '' : ` and ${failed} failed`}`);
  return [...verbs, `${callsInFlight} in flight`].join(', ');
}

function describeReconciler({ reconciler }: DaemonStatus, now: number): readonly string[] {
  const { passes, lastPassAt, lastPassMs, repairs } = reconciler;
  const took = lastPassMs === undefined ? '' : ` in ${Math.round(lastPassMs)} ms`;
  const last = lastPassAt === undefined ? '' : `, the last ${formatAge(now - lastPassAt)} ago${took}`;
  const shown = repairs.slice(-repairsShown);
  const which = shown.length === 0 ? 'nothing to repair' : `the latest of ${countOf(repairs.length, 'repair')}:`;
  return [`compared ${countOf(passes, 'time')}${last}; ${which}`, ...shown.map(({ at, what }) => `${formatTime(at)} ${what}`)];
}

const nameCharactersMax = 30;

function renderTenantUse(tenants: readonly TenantUse[]): string {
  const rows = tenants.map(({ tenant, vni, endpoints, endpointsMax, pools }): readonly Cell[] => [
    shorten(tenant, nameCharactersMax), vni === null ? '' : String(vni), `${endpoints}/${endpointsMax}`, pools.map(describePool),
  ]);
  return renderTable([['TENANT', 'VNI', 'ENDPOINTS', 'FREE ADDRESSES'], ...rows]);
}

function describePool({ ranges, size, free }: PoolReport): string {
  return `${formatCount(free)} of ${formatCount(size)} in ${ranges.join(', ')}`;
}

/** A /64 has more addresses than anybody reads digits. */
const countShownInFull = 1e9;

function formatCount(count: number): string {
  return count <= countShownInFull ? String(count) : count.toExponential(1).replace('e+', 'e');
}
