/** The manifests in conf/kubernetes as a kubelet reads them. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseAllDocuments } from 'yaml';

const folder = resolve(import.meta.dirname, '../../conf/kubernetes');

/** What of an object these tests look at; its other keys are there all the same. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

export interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly readOnly?: boolean;
  readonly mountPropagation?: string;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly securityContext?: { readonly privileged?: boolean };
  readonly volumeMounts: readonly VolumeMount[];
  readonly readinessProbe?: { readonly exec: { readonly command: readonly string[] } };
  readonly livenessProbe?: { readonly exec: { readonly command: readonly string[] } };
}

export interface Volume {
  readonly name: string;
  readonly hostPath?: { readonly path: string; readonly type?: string };
  readonly configMap?: { readonly name: string };
}

export interface PodSpec {
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly serviceAccountName: string;
  readonly automountServiceAccountToken: boolean;
  readonly terminationGracePeriodSeconds: number;
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes: readonly Volume[];
}

export interface DaemonSet extends KubernetesObject {
  readonly spec: { readonly selector: { readonly matchLabels: object }; readonly template: { readonly metadata: { readonly labels: object }; readonly spec: PodSpec } };
}

export interface Kustomization {
  readonly resources: readonly string[];
  readonly images?: readonly { readonly name: string; readonly newTag: string }[];
  readonly configMapGenerator?: readonly { readonly name: string; readonly namespace: string; readonly files: readonly string[] }[];
  readonly patches?: readonly { readonly path: string }[];
}

/** A file's text. */
export function readText(path: string): string {
  return readFileSync(resolve(folder, path), 'utf8');
}

/** The only object of a file. @throws Error where it has a fault in YAML, a key twice among them, or more objects */
export function readObject(path: string): unknown {
  const documents = parseAllDocuments(readText(path), { strict: true, uniqueKeys: true });
  const [only, ...others] = documents;
  if (only === undefined || others.length > 0) throw new Error(`${path} must have one object`);
  if (only.errors.length + only.warnings.length > 0) throw new Error(`${path}: ${[...only.errors, ...only.warnings].join('; ')}`);
  return only.toJS();
}

/** The DaemonSet that installs. */
export function installing(): DaemonSet {
  return readObject('install/daemon-set.yaml') as DaemonSet;
}

/** The same after the patch that makes it uninstall. */
export function uninstalling(): DaemonSet {
  const patch = readObject('uninstall/daemon-set-patch.yaml') as readonly PatchOperation[];
  const object: unknown = structuredClone(installing());
  for (const operation of patch) applyPatch(object, operation);
  return object as DaemonSet;
}

/** JSON patch (RFC 6902), as far as the patch here needs it. */
interface PatchOperation {
  readonly op: 'add' | 'remove' | 'replace';
  readonly path: string;
  readonly value?: unknown;
}

function applyPatch(object: unknown, { op, path, value }: PatchOperation): void {
  const keys = path.split('/').slice(1);
  const last = keys.pop() ?? '';
  let at = object as Record<string, unknown> | unknown[];
  for (const key of keys) at = (at as Record<string, unknown>)[key] as Record<string, unknown> | unknown[];
  if (Array.isArray(at)) {
    if (op !== 'add' || last !== '-') throw new Error(`unknown operation ${op} ${path}`);
    at.push(value);
    return;
  }
  if (op !== 'add' && !(last in at)) throw new Error(`${op} ${path} must be there`);
  if (op === 'remove') delete at[last];
  else at[last] = value;
}

/** The container of a name. @throws Error where there is none */
export function containerOf({ spec }: DaemonSet, name: string): Container {
  const pod = spec.template.spec;
  const found = [...(pod.initContainers ?? []), ...pod.containers].find((container) => container.name === name);
  if (found === undefined) throw new Error(`there is no container ${name}`);
  return found;
}
