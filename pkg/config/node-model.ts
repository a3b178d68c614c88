/** The node configuration as values. Apart from its parser, so that a node without the file does not load YAML. */
import type { TenantBandwidth } from './bandwidth-conf.ts';
import type { ControlPlaneConf, ControlPlaneName } from './control-plane.ts';
import type { OvsConf } from './datapath-conf.ts';
import type { MetricsConf } from './metrics-conf.ts';
import type { MigrationConf } from './migration-conf.ts';
import type { PathConf } from './path-conf.ts';
import type { OffloadConf } from './offload-conf.ts';
import type { NodeSettings, TenantSettings } from './settings.ts';

/** A tenant of the node configuration. */
export interface TenantConf extends TenantSettings {
  readonly name: string;
  /** Patterns of the Kubernetes namespaces that belong to the tenant; absent: the tenant is open to every caller that names it. */
  readonly namespaces?: readonly string[];
  /** Limits on this node. */
  readonly bandwidth?: TenantBandwidth;
}

/** /etc/weft/weft.yaml. No two tenants have the same name or the same VNI. */
export interface NodeConf extends NodeSettings {
  /** The file, for messages; absent where there is none. */
  readonly path?: string;
  /** The node's name; absent: the host's. */
  readonly node?: string;
  /** As it is written. */
  readonly ovs?: Partial<OvsConf>;
  /** How the nodes learn of each other; absent: static. */
  readonly controlPlane?: ControlPlaneConf;
  /** How endpoints move to other nodes; absent: they do not. */
  readonly migration?: MigrationConf;
  /** `path` in the file: how the ways to other nodes are proven; absent: by the defaults. */
  readonly pathProbes?: PathConf;
  /** What is left to the devices below the tunnel; absent: offloadDefaults. */
  readonly offload?: OffloadConf;
  /** Where metrics are to be had; absent: nowhere. */
  readonly metrics?: MetricsConf;
  readonly tenants: readonly TenantConf[];
}

/** A node without a configuration of its own. */
export const emptyNodeConf: NodeConf = { tenants: [] };

/** The control plane of all tenants of a node. */
export function controlPlaneOf({ controlPlane }: NodeConf): ControlPlaneName {
  return controlPlane?.type ?? 'static';
}
