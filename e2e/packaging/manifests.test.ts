/** What the manifests, the Dockerfile and weft say of each other must agree. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { launcherExecutable, weftExecutable } from '../harness/weft-executable.ts';
import { containerOf, installing, readObject, readText, uninstalling, type DaemonSet, type Kustomization, type KubernetesObject } from './manifest.ts';

const root = resolve(import.meta.dirname, '../..');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string };
const kustomization = readObject('install/kustomization.yaml') as Kustomization;
const objects = kustomization.resources.map((path) => readObject(`install/${path}`) as KubernetesObject & Readonly<Record<string, unknown>>);
const configFiles = kustomization.configMapGenerator?.[0]?.files ?? [];

for (const [name, set] of [['install', installing()], ['uninstall', uninstalling()]] as const) {
  t.test(`${name}: volumes, mounts and images`, async (t) => {
    const pod = set.spec.template.spec;
    const containers = [...(pod.initContainers ?? []), ...pod.containers];
    const volumes = pod.volumes.map((volume) => volume.name);
    const used = containers.flatMap(({ volumeMounts }) => volumeMounts.map((mount) => mount.name));
    t.same([...new Set(used)].filter((volume) => !volumes.includes(volume)), [], 'every mount has its volume');
    t.same(volumes.filter((volume) => !used.includes(volume)), name === 'install' ? [] : ['config'], 'every volume is mounted');
    for (const { name: container, volumeMounts } of containers) t.equal(new Set(volumeMounts.map(({ mountPath }) => mountPath)).size, volumeMounts.length, `${container} mounts each path once`);
    for (const { image } of containers) t.equal(image, `weft:${version}`, 'one image, and a tag that does not move');
    // What the installer sees below /host is what the node has there.
    const places = new Map(pod.volumes.map((volume) => [volume.name, volume.hostPath?.path]));
    for (const { volumeMounts } of containers) {
      for (const mount of volumeMounts.filter(({ mountPath }) => mountPath.startsWith('/host/'))) t.equal(mount.mountPath, `/host${places.get(mount.name)}`);
    }
    t.same(set.spec.template.metadata.labels, set.spec.selector.matchLabels);
  });
}

t.test('the daemon has what its installer writes', async (t) => {
  const pathsOf = (set: DaemonSet, container: string): readonly string[] => containerOf(set, container).volumeMounts.map(({ mountPath }) => mountPath);
  const daemon = pathsOf(installing(), 'daemon');
  for (const path of ['/etc/weft', '/var/lib/weft']) t.ok(daemon.includes(path) && pathsOf(installing(), 'install').includes(`/host${path}`), path);
  t.same(pathsOf(uninstalling(), 'uninstall'), pathsOf(installing(), 'install').filter((path) => path.startsWith('/host/')), 'what installs and what uninstalls see the same');
});

t.test('nobody is given a permission that weft does not use', async (t) => {
  t.same(objects.map(({ kind }) => kind), ['Namespace', 'ServiceAccount', 'DaemonSet'], 'no Role and no binding');
  t.match(objects, [{ apiVersion: 'v1' }, { apiVersion: 'v1', automountServiceAccountToken: false }, { apiVersion: 'apps/v1' }]);
  t.match(installing().spec.template.spec, { automountServiceAccountToken: false, serviceAccountName: objects[1]?.metadata.name });
  const [namespace, ...others] = objects;
  for (const { metadata } of others) t.equal(metadata.namespace, namespace?.metadata.name);
});

t.test('kustomization: files and names are there', async (t) => {
  t.same(kustomization.images, [{ name: 'weft', newName: 'weft', newTag: version }]);
  t.same(configFiles.map((file) => basename(file)).sort(), readdirSync(join(root, 'conf/kubernetes/install/config')).sort(), 'every file of config/ is in the ConfigMap');
  t.match(kustomization.configMapGenerator, [{ name: installing().spec.template.spec.volumes.find(({ name }) => name === 'config')?.configMap?.name, namespace: 'weft-system' }]);
  t.same((readObject('uninstall/kustomization.yaml') as Kustomization).patches?.map(({ path }) => path), ['daemon-set-patch.yaml']);
  t.match(readObject('uninstall/kustomization.yaml'), { replacements: [{ source: { fieldPath: 'spec.template.spec.containers.[name=daemon].image' }, targets: [{ fieldPaths: ['spec.template.spec.containers.[name=uninstall].image'] }] }] }, 'the image is named once');
  t.equal(uninstalling().spec.template.spec.initContainers, undefined, 'what uninstalls does not install');
});

t.test('weft accepts the configuration of every node', { skip: skipUnless({ executables: [weftExecutable, launcherExecutable] }) }, async (t) => {
  const conflist = join(root, 'conf/kubernetes/install/config/10-weft.conflist');
  for (const file of configFiles.filter((name) => name.endsWith('.yaml'))) {
    const host = join(t.testdir(), basename(file));
    mkdirSync(host, { recursive: true });
    const args = ['install', '--dry-run', '--host-root', host, '--launcher', launcherExecutable, '--config', join(root, 'conf/kubernetes/install', file), '--conflist', conflist];
    t.match(execFileSync(weftExecutable, args, { encoding: 'utf8' }), /would replace \/etc\/cni\/net\.d\/10-weft\.conflist/, file);
  }
});

t.test('no two nodes have an address of one tenant', async (t) => {
  const given = configFiles.filter((name) => name.endsWith('.yaml')).flatMap((file) => rangesOf(readText(`install/${file}`)));
  t.equal(new Set(given).size, given.length, given.join(', '));
  t.ok(given.length >= 6);
});

/** Tenant and first address of each range: the examples give each node the third byte that is its number. */
function rangesOf(text: string): readonly string[] {
  const { tenants } = parse(text) as { readonly tenants: readonly { readonly name: string; readonly ipam: { readonly ranges: readonly (readonly { readonly rangeStart: string; readonly rangeEnd: string }[])[] } }[] };
  return tenants.flatMap(({ name, ipam }) => ipam.ranges.flat().map(({ rangeStart, rangeEnd }) => `${name} ${thirdByte(rangeStart)}${thirdByte(rangeEnd) === thirdByte(rangeStart) ? '' : ' and more'}`));
}

function thirdByte(address: string): string {
  return address.split('.').slice(0, 3).join('.');
}

t.test('Dockerfile: what it copies is there, and what is there it is told of', async (t) => {
  const text = readFileSync(join(root, 'Dockerfile'), 'utf8').replaceAll('\\\n', ' ');
  const instructions = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  for (const line of instructions) t.match(line, /^(ARG|FROM|RUN|WORKDIR|COPY|LABEL|ENTRYPOINT|CMD) /);
  const ignored = readFileSync(join(root, '.dockerignore'), 'utf8').trim().split('\n');
  t.equal(ignored[0], '*', 'only what is named goes in');
  const context = ignored.slice(1).map((line) => line.replace(/^!/, ''));
  for (const name of context) t.ok(readdirSync(root).includes(name), `${name} is there`);
  for (const [, sources = ''] of text.matchAll(/^COPY (?!--from)(.*) \S+$/gm)) t.same(sources.split(' ').filter((name) => name !== '.' && !context.includes(name)), [], sources);
  t.match(text, `ARG VERSION=${version}\n`);
  t.notMatch(text, /:latest/);
  t.match(text, 'COPY --from=build /src/dist/weft /usr/local/bin/weft\nCOPY --from=build /src/dist/cni/weft /opt/cni/bin/weft\n', 'where the manifest and weft install look for them');
  const libraries = /^build=\((.*)\)$/m.exec(readFileSync(join(root, 'scripts/setup.sh'), 'utf8'))?.[1]?.split(' ') ?? [];
  t.same(libraries.filter((name) => !text.includes(name)), [], 'what a build needs, as scripts/setup.sh has it');
});
