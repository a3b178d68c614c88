/** Which tenant a container belongs to. Wrong here is the wrong network, so whatever is not clear is refused. */
import { showValue } from '../cni/json-value.ts';
import { WeftError } from '../errors/weft-error.ts';
import { matchesNamespace } from './namespaces.ts';
import type { NodeConf, TenantConf } from './node-model.ts';

export interface TenantQuestion {
  /** `tenant` of the plugin configuration. */
  readonly tenant?: string;
  readonly network: string;
  /** K8S_POD_NAMESPACE; absent for what is no pod. */
  readonly namespace?: string;
}

export interface TenantChoice {
  readonly name: string;
  /** What the node configuration says of the tenant, if anything. */
  readonly conf?: TenantConf;
  /** The pod's namespace decided, not the plugin configuration. */
  readonly isByNamespace: boolean;
}

/**
 * The tenant that the plugin configuration names; else the one whose `namespaces` match the pod's; else the one named
 * as the network. A tenant with `namespaces` takes no pod of another namespace, whoever names it.
 *
 * @throws WeftError invalidConfiguration when several tenants match, or the named one does not take the pod
 */
export function chooseTenant({ tenant, network, namespace }: TenantQuestion, node: NodeConf): TenantChoice {
  const byNamespace = tenant === undefined && namespace !== undefined ? tenantOfNamespace(namespace, node) : undefined;
  if (byNamespace !== undefined) return { name: byNamespace.name, conf: byNamespace, isByNamespace: true };
  const name = tenant ?? network;
  const conf = node.tenants.find((candidate) => candidate.name === name);
  if (conf === undefined) return { name, isByNamespace: false };
  if (namespace !== undefined && !hasNamespace(conf, namespace)) {
    const patterns = conf.namespaces?.join(', ') ?? '';
    throw new WeftError('invalidConfiguration', `tenant ${name} must list the pod's namespace in its namespaces (${patterns}) in ${describeNode(node)}: current value is ${showValue(namespace)}`);
  }
  return { name, conf, isByNamespace: false };
}

/** The node configuration as a message names it. */
export function describeNode({ path }: NodeConf): string {
  return path ?? 'the node configuration';
}

function tenantOfNamespace(namespace: string, node: NodeConf): TenantConf | undefined {
  const [only, ...others] = node.tenants.filter((candidate) => candidate.namespaces !== undefined && hasNamespace(candidate, namespace));
  if (only === undefined || others.length === 0) return only;
  const names = [only, ...others].map(({ name }) => name).join(', ');
  throw new WeftError('invalidConfiguration', `the namespace ${showValue(namespace)} must belong to one tenant: the namespaces of ${names} in ${describeNode(node)} match it`);
}

function hasNamespace({ namespaces }: TenantConf, namespace: string): boolean {
  return namespaces === undefined || namespaces.some((pattern) => matchesNamespace(pattern, namespace));
}
