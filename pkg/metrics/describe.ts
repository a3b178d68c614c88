/** A node at one moment, as metrics. Pure. */
import type { DaemonStatus } from '../report/daemon-status.ts';
import type { PathStatus } from '../report/paths.ts';
import { metricNames, type LabelsOf, type MetricName } from './catalogue.ts';
import { Exposition, labelText, type LabelText } from './exposition.ts';
import type { DeviceSample, EndpointSample, LedgerSample, MeasurementSample, NodeSnapshot, TenantSample } from './snapshot.ts';
import type { Traffic } from './traffic.ts';

/** What is added to a snapshot. */
export interface DescribeOptions {
  /** How many endpoints have series of their own, at most. */
  readonly endpointsMax: number;
  /** What containers have exchanged, by tenant, since the daemon started. */
  readonly tenantTraffic: ReadonlyMap<string, Traffic>;
  /** How long the scrape before took. */
  readonly lastScrapeSeconds: number;
}

/** Metrics that are counted when something happens, and are not looked at. */
export const recordedNames: ReadonlySet<MetricName> = new Set<MetricName>([
  'weft_event_loop_lag_seconds', 'weft_cni_calls_total', 'weft_cni_call_duration_seconds', 'weft_cni_calls_declined_total',
  'weft_migrations_total', 'weft_migration_activation_seconds', 'weft_migration_duration_seconds',
]);

const endpointStates = ['attached', 'adding', 'deleting'] as const;

/** The text of everything that is looked at. */
export function describeNode(snapshot: NodeSnapshot, options: DescribeOptions): string {
  const out = new Exposition();
  for (const name of metricNames) if (!recordedNames.has(name)) out.declare(name);
  describeDaemon(out, snapshot);
  out.add('weft_scrape_duration_seconds', {}, options.lastScrapeSeconds);
  describeReconciler(out, snapshot);
  for (const { neighbor, isUp, prefixesReceived } of snapshot.sessions) {
    out.add('weft_bgp_session_up', { neighbor }, Number(isUp));
    out.add('weft_bgp_prefixes_received', { neighbor }, prefixesReceived);
  }
  if (snapshot.ledger !== undefined) describeLedger(out, snapshot.ledger);
  for (const path of snapshot.status.paths?.paths ?? []) describePath(out, path);
  for (const measurement of snapshot.measurements) describeMeasurement(out, measurement);
  for (const [tenant, traffic] of options.tenantTraffic) describeTraffic(out, 'tenant', { labels: labelText({ tenant }), traffic });
  for (const { tenant = '', device, traffic } of snapshot.tunnels) describeTraffic(out, 'tunnel', { labels: labelText({ tenant, device }), traffic });
  for (const { device, traffic } of snapshot.underlays) describeTraffic(out, 'underlay', { labels: labelText({ device }), traffic });
  describeEndpoints(out, snapshot.ledger?.endpoints ?? [], options.endpointsMax);
  return out.toText();
}

function describeDaemon(out: Exposition, { status, cpuSeconds, ledger, ledgerFiles, pendingDels }: NodeSnapshot): void {
  out.add('weft_build_info', { version: status.version, node: status.node }, 1);
  out.add('weft_configuration_valid', {}, Number(status.configError === undefined));
  for (const [part, faults] of faultsOf(status)) out.add('weft_faults', { part }, faults.length);
  out.add('process_resident_memory_bytes', {}, status.memoryBytes);
  out.add('process_cpu_seconds_total', {}, cpuSeconds);
  out.add('process_start_time_seconds', {}, status.startedAt / 1000);
  out.add('weft_cni_calls_in_flight', {}, status.callsInFlight);
  out.add('weft_ledger_readable', {}, Number(ledger !== undefined));
  for (const [file, bytes] of ledgerFiles) out.add('weft_ledger_size_bytes', { file }, bytes);
  out.add('weft_pending_dels', {}, pendingDels);
}

function faultsOf({ reconciler, controlPlaneFaults = [], migrationFaults = [], paths, offloadFaults = [], metricsFaults = [] }: DaemonStatus): readonly (readonly [string, readonly unknown[]])[] {
  const pathFaults = [...(paths?.faults ?? []), ...(paths?.paths ?? []).filter(({ narrow }) => narrow !== undefined)];
  return [['reconciler', reconciler.openFaults], ['control-plane', controlPlaneFaults], ['migration', migrationFaults], ['path', pathFaults], ['offload', offloadFaults], ['metrics', metricsFaults]];
}

function describeReconciler(out: Exposition, { status: { reconciler: { passes, lastPassAt, lastPassMs } }, repairs }: NodeSnapshot): void {
  out.add('weft_reconciler_passes_total', {}, passes);
  if (lastPassAt !== undefined) out.add('weft_reconciler_last_pass_timestamp_seconds', {}, lastPassAt / 1000);
  if (lastPassMs !== undefined) out.add('weft_reconciler_last_pass_duration_seconds', {}, lastPassMs / 1000);
  for (const [kind, count] of repairs) out.add('weft_repairs_total', { kind }, count);
}

function describeLedger(out: Exposition, { tenants, endpoints, migrating }: LedgerSample): void {
  const counts = new Map<string, number>();
  for (const { tenant, state } of endpoints) counts.set(`${state} ${tenant}`, (counts.get(`${state} ${tenant}`) ?? 0) + 1);
  for (const tenant of tenants) {
    describeTenant(out, tenant);
    for (const state of endpointStates) out.add('weft_endpoints', { tenant: tenant.tenant, state }, counts.get(`${state} ${tenant.tenant}`) ?? 0);
  }
  for (const [phase, count] of migrating) out.add('weft_migrations_in_progress', { phase }, count);
}

function describeTenant(out: Exposition, { tenant, vni, datapath, encapsulation, controlPlane, overlayMtu, underlayMtu, endpointsMax, pools }: TenantSample): void {
  out.add('weft_tenant_info', { tenant, vni: String(vni), datapath, encapsulation, control_plane: controlPlane }, 1);
  out.add('weft_endpoints_max', { tenant }, endpointsMax);
  out.add('weft_tenant_mtu_bytes', { tenant }, overlayMtu);
  out.add('weft_tenant_underlay_mtu_bytes', { tenant }, underlayMtu);
  for (const { ranges, size, free } of pools) {
    const labels: LabelsOf<'weft_addresses'> = { tenant, pool: ranges.join(',') };
    out.add('weft_addresses', labels, size);
    out.add('weft_addresses_free', labels, Math.max(0, free));
  }
}

function describePath(out: Exposition, { vtep, peer, peerNode = '', state, fullBytes, narrow, proof }: PathStatus): void {
  const labels = { vtep, peer };
  out.add('weft_path_info', { ...labels, peer_node: peerNode }, 1);
  out.add('weft_path_answered', labels, Number(state === 'whole' || state === 'narrow'));
  if (fullBytes > 0) out.add('weft_path_full_size_bytes', labels, fullBytes);
  if (narrow !== undefined || state === 'whole') out.add('weft_path_full_size', labels, Number(narrow === undefined));
  const mtuBytes = narrow?.packetBytes ?? proof?.packetBytes;
  if (mtuBytes !== undefined) out.add('weft_path_mtu_bytes', labels, mtuBytes);
}

function describeMeasurement(out: Exposition, { vtep, peer, way, totals: { sent, lost, roundTripMs }, recent }: MeasurementSample): void {
  const labels = labelText({ vtep, peer, way });
  out.addWith('weft_path_probes_total', labels, sent);
  out.addWith('weft_path_probes_lost_total', labels, lost);
  out.addWith('weft_path_round_trip_seconds', labels, roundTripMs / 1000, '_sum');
  out.addWith('weft_path_round_trip_seconds', labels, sent - lost, '_count');
  if (recent.roundTripMsMax !== undefined) out.addWith('weft_path_round_trip_max_seconds', labels, recent.roundTripMsMax / 1000);
}

/** Without series of their own are those that came last: a series that is there stays. */
function describeEndpoints(out: Exposition, endpoints: readonly EndpointSample[], endpointsMax: number): void {
  const withTraffic = endpoints.flatMap((endpoint) => (endpoint.traffic === undefined ? [] : [{ ...endpoint, traffic: endpoint.traffic }]));
  for (const { tenant, network, containerId, interface: name, pod, traffic } of withTraffic.slice(0, endpointsMax)) {
    const { podNamespace, podName } = splitPod(pod);
    describeTraffic(out, 'endpoint', { labels: labelText({ tenant, network, container_id: containerId, interface: name, pod_namespace: podNamespace, pod_name: podName }), traffic });
  }
  out.add('weft_endpoint_series_omitted', {}, Math.max(0, withTraffic.length - endpointsMax));
}

function splitPod(pod: string | undefined): { readonly podNamespace: string; readonly podName: string } {
  const [first = '', second] = pod?.split('/') ?? [];
  return second === undefined ? { podNamespace: '', podName: first } : { podNamespace: first, podName: second };
}

/** Whose traffic it is: the second part of the names. */
type Subject = 'tenant' | 'tunnel' | 'underlay' | 'endpoint';

function describeTraffic(out: Exposition, subject: Subject, { labels, traffic }: { readonly labels: LabelText; readonly traffic: DeviceSample['traffic'] }): void {
  out.addWith(`weft_${subject}_receive_bytes_total`, labels, traffic.receiveBytes);
  out.addWith(`weft_${subject}_receive_packets_total`, labels, traffic.receivePackets);
  out.addWith(`weft_${subject}_receive_drops_total`, labels, traffic.receiveDrops);
  out.addWith(`weft_${subject}_transmit_bytes_total`, labels, traffic.transmitBytes);
  out.addWith(`weft_${subject}_transmit_packets_total`, labels, traffic.transmitPackets);
  out.addWith(`weft_${subject}_transmit_drops_total`, labels, traffic.transmitDrops);
}
