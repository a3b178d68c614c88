/** run.sh where it cannot run, and the files it would use. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { launcherExecutable, weftExecutable } from '../harness/weft-executable.ts';

const script = join(import.meta.dirname, 'run.sh');
const read = (name: string): string => readFileSync(join(import.meta.dirname, name), 'utf8');
const skip = skipUnless({ tools: ['bash', 'dirname', 'timeout'] });

/** Runs the script with these tools of its own, each with an exit status, and no others but the system's. */
function runWith(directory: string, tools: Readonly<Record<string, number>>): { readonly status: number | null; readonly stderr: string } {
  mkdirSync(directory, { recursive: true });
  for (const tool of ['bash', 'dirname', 'timeout']) symlinkSync(spawnSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).stdout.trim(), join(directory, tool));
  for (const [tool, status] of Object.entries(tools)) {
    writeFileSync(join(directory, tool), `#!/bin/sh\nexit ${status}\n`);
    chmodSync(join(directory, tool), 0o755);
  }
  const { status, stderr } = spawnSync(join(directory, 'bash'), [script], { encoding: 'utf8', env: { PATH: directory }, timeout: 30_000 });
  return { status, stderr };
}

t.test('where it cannot run it says so, with a status of its own', { skip }, async (t) => {
  const base = t.testdir();
  const rows: readonly (readonly [string, Readonly<Record<string, number>>, RegExp])[] = [
    ['nothing', {}, /there is no docker\. Nothing was tried; that is exit status 77\./],
    ['docker', { docker: 0 }, /there is no kind/],
    ['kubectl', { docker: 0, kind: 0 }, /there is no kubectl/],
    ['engine', { docker: 1, kind: 0, kubectl: 0 }, /no Docker engine answers/],
  ];
  for (const [name, tools, words] of rows) {
    const { status, stderr } = runWith(join(base, name), tools);
    t.equal(status, 77, name);
    t.match(stderr, words, name);
  }
});

t.test('weft accepts what the nodes are given', { skip: skipUnless({ executables: [weftExecutable, launcherExecutable] }) }, async (t) => {
  const config = join(t.testdir(), 'node.yaml');
  writeFileSync(config, read('node.yaml.in').replaceAll('@NAME@', 'worker').replaceAll('@NUMBER@', '2').replaceAll('@PEERS@', '192.0.2.1,192.0.2.2'));
  const conflist = join(import.meta.dirname, '../../conf/kubernetes/install/config/10-weft.conflist');
  const { stdout, stderr } = spawnSync(weftExecutable, ['install', '--dry-run', '--host-root', t.testdirName, '--launcher', launcherExecutable, '--config', config, '--conflist', conflist], { encoding: 'utf8' });
  t.equal(stderr, '');
  t.match(stdout, /would replace \/etc\/weft\/weft\.yaml/);
});

t.test('its cluster and its pods', async (t) => {
  t.match(parse(read('kind.yaml')), { apiVersion: 'kind.x-k8s.io/v1alpha4', networking: { disableDefaultCNI: true }, nodes: { length: 2 } });
  const pod = read('pod.yaml.in').replace(/@([A-Z]+)@/g, (_, name: string) => name.toLowerCase());
  t.match(parse(pod), { kind: 'Pod', metadata: { name: 'pod', namespace: 'namespace' }, spec: { nodeName: 'node', containers: [{ image: 'image', command: ['perl', '-MIO::Socket::INET', '-e', /print \$client "namespace\/pod/] }] } });
  const used = new Set(read('run.sh').match(/@[A-Z]+@/g));
  for (const name of ['node.yaml.in', 'pod.yaml.in']) t.same([...new Set(read(name).match(/@[A-Z]+@/g))].filter((word) => !used.has(word)), [], `run.sh fills in all of ${name}`);
});
