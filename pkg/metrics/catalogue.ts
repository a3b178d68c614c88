/** Every metric: its name, type, labels, unit and meaning. docs/metrics.md has the same in a table, which a test compares. Pure. */

/** A metric as Prometheus knows it (https://prometheus.io/docs/practices/naming/). */
export interface MetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram' | 'summary';
  readonly labels: readonly string[];
  readonly unit: 'seconds' | 'bytes' | 'packets' | 'calls' | 'migrations' | 'repairs' | 'passes' | 'probes' | 'endpoints' | 'addresses' | 'faults' | 'prefixes' | 'yes or no' | 'always 1' | 'DELs';
  /** One line, without the name. */
  readonly help: string;
  /** Of a histogram: upper bounds. */
  readonly buckets?: readonly number[];
}


/** By name, in the order in which they are told. An ADD takes some milliseconds, and with a slow delegate half a minute: so are the buckets. */
export const catalogue = {
  weft_build_info: { type: 'gauge', labels: ['version', 'node'], unit: 'always 1', help: "The daemon's version and the node's name." },
  weft_configuration_valid: { type: 'gauge', labels: [], unit: 'yes or no', help: 'Whether the node configuration on the disk is the one in force.' },
  weft_faults: { type: 'gauge', labels: ['part'], unit: 'faults', help: 'What is wrong now and weft status tells in words, by part: reconciler, control-plane, migration, path, offload, metrics.' },
  process_resident_memory_bytes: { type: 'gauge', labels: [], unit: 'bytes', help: "The daemon's resident memory." },
  process_cpu_seconds_total: { type: 'counter', labels: [], unit: 'seconds', help: "Processor time of the daemon, user and system." },
  process_start_time_seconds: { type: 'gauge', labels: [], unit: 'seconds', help: 'When the daemon started, since the epoch.' },
  weft_event_loop_lag_seconds: { type: 'histogram', labels: [], unit: 'seconds', help: "How late the daemon's event loop is, looked at every half second.", buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5] },
  weft_scrape_duration_seconds: { type: 'gauge', labels: [], unit: 'seconds', help: 'How long it took to put together the answer to the scrape before this one.' },

  weft_cni_calls_total: { type: 'counter', labels: ['verb', 'outcome', 'code'], unit: 'calls', help: 'CNI calls that the daemon has done, by verb and outcome (ok, failed); code is the CNI error code of those that failed.' },
  weft_cni_call_duration_seconds: { type: 'histogram', labels: ['verb', 'outcome'], unit: 'seconds', help: 'How long CNI calls took in the daemon, waiting for other calls included.', buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 100] },
  weft_cni_calls_in_flight: { type: 'gauge', labels: [], unit: 'calls', help: 'CNI calls that are under way, those that wait for others included.' },
  weft_cni_calls_declined_total: { type: 'counter', labels: ['reason'], unit: 'calls', help: 'CNI calls that the daemon gave back to the launcher, which did them alone.' },

  weft_tenant_info: { type: 'gauge', labels: ['tenant', 'vni', 'datapath', 'encapsulation', 'control_plane'], unit: 'always 1', help: 'The tenants that have endpoints on this node.' },
  weft_endpoints: { type: 'gauge', labels: ['tenant', 'state'], unit: 'endpoints', help: 'Attachments in the ledger by state: attached, adding, deleting.' },
  weft_endpoints_max: { type: 'gauge', labels: ['tenant'], unit: 'endpoints', help: 'How many endpoints of the tenant fit on this node.' },
  weft_addresses: { type: 'gauge', labels: ['tenant', 'pool'], unit: 'addresses', help: 'Addresses that the pool can give on this node.' },
  weft_addresses_free: { type: 'gauge', labels: ['tenant', 'pool'], unit: 'addresses', help: 'Addresses of the pool that nobody holds and no endpoint keeps.' },
  weft_ledger_readable: { type: 'gauge', labels: [], unit: 'yes or no', help: 'Whether the ledger could be read for this scrape; where not, whatever is made of it is missing.' },
  weft_ledger_size_bytes: { type: 'gauge', labels: ['file'], unit: 'bytes', help: "Size of the ledger's files: database, wal." },
  weft_pending_dels: { type: 'gauge', labels: [], unit: 'DELs', help: 'DELs that are written down, to be done by a later call.' },

  weft_reconciler_passes_total: { type: 'counter', labels: [], unit: 'passes', help: 'How often the node, or a part of it, was compared with what should be there.' },
  weft_reconciler_last_pass_timestamp_seconds: { type: 'gauge', labels: [], unit: 'seconds', help: 'When that was done last, since the epoch.' },
  weft_reconciler_last_pass_duration_seconds: { type: 'gauge', labels: [], unit: 'seconds', help: 'How long that took.' },
  weft_repairs_total: { type: 'counter', labels: ['kind'], unit: 'repairs', help: 'What the reconciler has put right: segment, endpoint, guard, plan, mtu, garbage, removal.' },

  weft_bgp_session_up: { type: 'gauge', labels: ['neighbor'], unit: 'yes or no', help: 'Whether the session with a neighbour of controlPlane.neighbors is established.' },
  weft_bgp_prefixes_received: { type: 'gauge', labels: ['neighbor'], unit: 'prefixes', help: 'EVPN prefixes that the neighbour has sent.' },

  weft_migrations_total: { type: 'counter', labels: ['role', 'outcome'], unit: 'migrations', help: 'Migrations that ended, on the source and on the target: moved, cancelled, timed_out, abandoned.' },
  weft_migrations_in_progress: { type: 'gauge', labels: ['phase'], unit: 'migrations', help: 'Endpoints that are on their way: relaying, departed, left at the source, waiting, arrived at the target.' },
  weft_migration_activation_seconds: { type: 'histogram', labels: [], unit: 'seconds', help: 'At the source, from closing the endpoint to hearing that the target has opened it.', buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5] },
  weft_migration_duration_seconds: { type: 'histogram', labels: ['role'], unit: 'seconds', help: 'Of migrations that moved: at the source from the first copy to the last frame relayed, at the target from the ADD to the opening.', buckets: [1, 2.5, 5, 10, 30, 60, 300, 900, 3600] },

  weft_tenant_mtu_bytes: { type: 'gauge', labels: ['tenant'], unit: 'bytes', help: "The MTU of the tenant's endpoints." },
  weft_tenant_underlay_mtu_bytes: { type: 'gauge', labels: ['tenant'], unit: 'bytes', help: "The MTU of the links that the tenant's tunnel leaves by." },
  weft_path_info: { type: 'gauge', labels: ['vtep', 'peer', 'peer_node'], unit: 'always 1', help: 'The paths to the VTEPs of other nodes, and what those call themselves.' },
  weft_path_answered: { type: 'gauge', labels: ['vtep', 'peer'], unit: 'yes or no', help: 'Whether the other node has answered when it was asked last.' },
  weft_path_full_size: { type: 'gauge', labels: ['vtep', 'peer'], unit: 'yes or no', help: 'Whether packets as large as the interfaces say reach the other node; missing where that is not known.' },
  weft_path_full_size_bytes: { type: 'gauge', labels: ['vtep', 'peer'], unit: 'bytes', help: "What this node's interfaces say of the packets to the other node." },
  weft_path_mtu_bytes: { type: 'gauge', labels: ['vtep', 'peer'], unit: 'bytes', help: 'The largest packet that is known to reach the other node; missing where none is.' },
  weft_path_probes_total: { type: 'counter', labels: ['vtep', 'peer', 'way'], unit: 'probes', help: 'Probes that the other node should have answered, by way: underlay, tunnel.' },
  weft_path_probes_lost_total: { type: 'counter', labels: ['vtep', 'peer', 'way'], unit: 'probes', help: 'Those of them without an answer in time.' },
  weft_path_round_trip_seconds: { type: 'summary', labels: ['vtep', 'peer', 'way'], unit: 'seconds', help: 'Round-trip times of those that were answered, between the daemons.' },
  weft_path_round_trip_max_seconds: { type: 'gauge', labels: ['vtep', 'peer', 'way'], unit: 'seconds', help: 'The longest of the last minute; missing where nothing was answered.' },

  weft_tenant_receive_bytes_total: { type: 'counter', labels: ['tenant'], unit: 'bytes', help: "Inside: what the tenant's containers on this node have received, since the daemon started." },
  weft_tenant_receive_packets_total: { type: 'counter', labels: ['tenant'], unit: 'packets', help: 'As weft_tenant_receive_bytes_total.' },
  weft_tenant_receive_drops_total: { type: 'counter', labels: ['tenant'], unit: 'packets', help: 'Packets to containers that their interface pair dropped.' },
  weft_tenant_transmit_bytes_total: { type: 'counter', labels: ['tenant'], unit: 'bytes', help: "Inside: what the tenant's containers on this node have sent, since the daemon started." },
  weft_tenant_transmit_packets_total: { type: 'counter', labels: ['tenant'], unit: 'packets', help: 'As weft_tenant_transmit_bytes_total.' },
  weft_tenant_transmit_drops_total: { type: 'counter', labels: ['tenant'], unit: 'packets', help: 'Packets of containers that their interface pair dropped.' },
  weft_tunnel_receive_bytes_total: { type: 'counter', labels: ['tenant', 'device'], unit: 'bytes', help: 'Outside: frames that came out of the tunnel, without its headers; with Open vSwitch one device has all tenants, and no tenant label.' },
  weft_tunnel_receive_packets_total: { type: 'counter', labels: ['tenant', 'device'], unit: 'packets', help: 'As weft_tunnel_receive_bytes_total.' },
  weft_tunnel_receive_drops_total: { type: 'counter', labels: ['tenant', 'device'], unit: 'packets', help: 'Frames from the tunnel that its device dropped.' },
  weft_tunnel_transmit_bytes_total: { type: 'counter', labels: ['tenant', 'device'], unit: 'bytes', help: 'Outside: frames that were put into the tunnel, without its headers.' },
  weft_tunnel_transmit_packets_total: { type: 'counter', labels: ['tenant', 'device'], unit: 'packets', help: 'As weft_tunnel_transmit_bytes_total.' },
  weft_tunnel_transmit_drops_total: { type: 'counter', labels: ['tenant', 'device'], unit: 'packets', help: 'Frames that the device could not put into the tunnel.' },
  weft_underlay_receive_bytes_total: { type: 'counter', labels: ['device'], unit: 'bytes', help: 'Outside: all that an interface under the tunnels has received, whosever it was.' },
  weft_underlay_receive_packets_total: { type: 'counter', labels: ['device'], unit: 'packets', help: 'As weft_underlay_receive_bytes_total.' },
  weft_underlay_receive_drops_total: { type: 'counter', labels: ['device'], unit: 'packets', help: 'Packets that it received and dropped.' },
  weft_underlay_transmit_bytes_total: { type: 'counter', labels: ['device'], unit: 'bytes', help: 'Outside: all that an interface under the tunnels has sent, whosever it was.' },
  weft_underlay_transmit_packets_total: { type: 'counter', labels: ['device'], unit: 'packets', help: 'As weft_underlay_transmit_bytes_total.' },
  weft_underlay_transmit_drops_total: { type: 'counter', labels: ['device'], unit: 'packets', help: 'Packets that it did not send and dropped.' },
  weft_endpoint_receive_bytes_total: { type: 'counter', labels: ['tenant', 'network', 'container_id', 'interface', 'pod_namespace', 'pod_name'], unit: 'bytes', help: 'What the container has received on the interface, since that was made.' },
  weft_endpoint_receive_packets_total: { type: 'counter', labels: ['tenant', 'network', 'container_id', 'interface', 'pod_namespace', 'pod_name'], unit: 'packets', help: 'As weft_endpoint_receive_bytes_total.' },
  weft_endpoint_receive_drops_total: { type: 'counter', labels: ['tenant', 'network', 'container_id', 'interface', 'pod_namespace', 'pod_name'], unit: 'packets', help: 'Packets to the container that the interface pair dropped.' },
  weft_endpoint_transmit_bytes_total: { type: 'counter', labels: ['tenant', 'network', 'container_id', 'interface', 'pod_namespace', 'pod_name'], unit: 'bytes', help: 'What the container has sent on the interface, since that was made.' },
  weft_endpoint_transmit_packets_total: { type: 'counter', labels: ['tenant', 'network', 'container_id', 'interface', 'pod_namespace', 'pod_name'], unit: 'packets', help: 'As weft_endpoint_transmit_bytes_total.' },
  weft_endpoint_transmit_drops_total: { type: 'counter', labels: ['tenant', 'network', 'container_id', 'interface', 'pod_namespace', 'pod_name'], unit: 'packets', help: 'Packets of the container that the interface pair dropped.' },
  weft_endpoint_series_omitted: { type: 'gauge', labels: [], unit: 'endpoints', help: 'Endpoints without series of their own, for metrics.endpointsMax.' },
} as const;

/** Of a metric. */
export type MetricName = keyof typeof catalogue;
/** The values of a metric's labels; an empty one is left out. */
export type LabelsOf<Name extends MetricName> = Readonly<Record<(typeof catalogue)[Name]['labels'][number], string>>;

/** What is known of a metric. */
export function definitionOf(name: MetricName): MetricDefinition {
  return catalogue[name];
}

/** All of them. */
export const metricNames: readonly MetricName[] = Object.keys(catalogue) as MetricName[];
