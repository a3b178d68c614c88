/** What the commands say of a node with containers, compared with what the ADDs answered. */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { netnsPath } from '../../pkg/testing/netns.ts';
import { run } from '../../pkg/testing/command.ts';
import { createLab, type Attached, type Lab } from '../harness/lab.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { attachGuest, blue, red } from '../harness/tenant.ts';
import { skipWithoutLab, weftExecutable } from '../harness/weft-executable.ts';
import { placesOf, runWeft } from './run-weft.ts';

const skip = skipWithoutLab();

interface Scene {
  readonly lab: Lab;
  readonly node: LabNode;
  readonly guests: readonly Attached[];
}

/** Two containers of blue, one of which is an endpoint and a pod, and one of red with equal addresses; two families. */
async function createScene(scope: { teardown(undo: () => unknown): void }): Promise<Scene> {
  const lab = createLab(scope, { nodes: 2 });
  const guests = [
    await attachGuest(lab, blue, 1, { label: 'blue1', args: `WEFT_ENDPOINT=db-0;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=${'long-name-'.repeat(8)}0` }),
    await attachGuest(lab, blue, 1, { label: 'blue2', ifName: 'net1' }),
    await attachGuest(lab, red, 1, { label: 'red1' }),
  ];
  return { lab, node: lab.node(1), guests };
}

interface Endpoint {
  readonly containerId: string;
  readonly addresses: readonly string[];
  readonly [key: string]: unknown;
}

async function endpointsOf(node: LabNode, ...args: readonly string[]): Promise<readonly Endpoint[]> {
  const { exitCode, stdout, stderr } = await runWeft(node, ['endpoints', '-o', 'json', ...args]);
  if (exitCode !== 0 || stderr !== '') throw new Error(`exit status ${exitCode}: ${stderr}`);
  return JSON.parse(stdout) as readonly Endpoint[];
}

t.test('the endpoints of a node', { skip, timeout: 60_000 }, async (t) => {
  const { node, guests } = await createScene(t);

  await t.test('weft endpoints -o json has what the ADDs answered', async (t) => {
    const endpoints = await endpointsOf(node);
    t.equal(endpoints.length, 3);
    for (const { attach, netns, result } of guests) {
      const endpoint = endpoints.find(({ containerId }) => containerId === attach.containerId);
      const inside = result.interfaces?.find(({ sandbox }) => sandbox !== undefined && sandbox !== '');
      t.match(endpoint, {
        addresses: result.ips?.map(({ address }) => address),
        interface: attach.ifName ?? 'eth0', mac: inside?.mac, netns: netnsPath(netns), network: attach.conf['name'], tenant: attach.conf['name'],
        hostInterface: result.interfaces?.find(({ name }) => name.startsWith('weft-p'))?.name, state: 'attached', isInterrupted: false, mtu: 1450, ipam: 'weft',
      }, attach.containerId);
      t.equal(endpoint?.addresses.length, 2, 'two families');
    }
    t.same(endpoints.map(({ tenant }) => tenant), ['blue', 'blue', 'red']);
    t.match(endpoints.find(({ endpoint }) => endpoint === 'db-0'), { pod: `shop/${'long-name-'.repeat(8)}0`, vni: 1001 });
    t.same(Object.keys(endpoints[0] ?? {}), Object.keys(endpoints[2] ?? {}), 'every endpoint has every key');
  });

  await t.test('weft endpoints is a table', async (t) => {
    const { exitCode, stdout, stderr } = await runWeft(node, ['endpoints']);
    t.same([exitCode, stderr], [0, '']);
    const lines = stdout.trimEnd().split('\n');
    t.match(lines[0], /^TENANT +VNI +ENDPOINT +POD +INTERFACE +HOST INTERFACE +MAC +ADDRESSES +STATE +AGE +NAMESPACE$/);
    t.equal(lines.length, 7, 'a line for each address');
    const column = lines[0]?.indexOf('ADDRESSES') ?? 0;
    for (const line of lines.slice(1)) t.match(line.slice(column), /^(10\.1\.1\.|fd00:1::)/, 'columns are aligned');
    t.match(stdout, /^blue +1001 +db-0 +shop\/long-\S*…\S+-0 /m, 'a long name is shortened');
  });

  await t.test('one tenant', async (t) => {
    t.same((await endpointsOf(node, '--tenant', 'red')).map(({ tenant }) => tenant), ['red']);
    t.same((await endpointsOf(node, '--tenant', '1001')).map(({ tenant }) => tenant), ['blue', 'blue']);
    t.same(await endpointsOf(node, '--tenant', 'green'), []);
    t.match(await runWeft(node, ['endpoints', '--tenant', 'green']), { exitCode: 0, stdout: 'no endpoints\n' });
  });
});

t.test('the tenants of a node, and how it is', { skip, timeout: 60_000 }, async (t) => {
  const { lab, node, guests } = await createScene(t);
  const before = node.snapshot();

  await t.test('weft tenants', async (t) => {
    const { exitCode, stdout } = await runWeft(node, ['tenants', '-o', 'json']);
    t.equal(exitCode, 0);
    t.match(JSON.parse(stdout), [
      {
        tenant: 'blue', vni: 1001, endpoints: 2, vtepAddress: node.ipv4, vtepPort: 4789, mtu: 1450, underlayMtu: 1500, peers: lab.peersOf(1), gateway: [],
        isPresent: true, isConfigured: false, bridge: 'weft-br1001', vxlan: 'weft-vx1001',
        pools: [{ ranges: ['10.1.1.10-10.1.1.19'], size: 10, free: 8 }, { ranges: ['fd00:1::10-fd00:1::19'], size: 10, free: 8 }],
      },
      { tenant: 'red', vni: 1002, endpoints: 1 },
    ]);
    t.match((await runWeft(node, ['tenants'])).stdout, /^TENANT .*\nblue +1001 +bridge +2\/\d+ +10\.200\.0\.11 +4789 +1450 +- +10\.200\.0\.12\nred /);
  });

  await t.test('weft status', async (t) => {
    const { exitCode, stdout, stderr } = await runWeft(node, ['status', '-o', 'json']);
    t.same([exitCode, stderr], [0, '']);
    t.match(JSON.parse(stdout), {
      isWell: true, attention: [], daemon: { state: 'absent', status: null }, configuration: { state: 'valid', path: placesOf(node).config }, ledger: { state: 'readable' },
      counts: { tenants: 2, endpoints: 3, interrupted: 0, pendingDels: 0 }, tenants: [{ tenant: 'blue', endpoints: 2 }, { tenant: 'red', endpoints: 1 }],
    });
    t.match((await runWeft(node, ['status'])).stdout, /^weft is well\nno daemon is listening on \S+weft\.sock: every call runs alone\n/);
  });

  await t.test('a reader that has seen enough is no fault', async (t) => {
    const script = `WEFT_STATE_DIR=${node.stateDirectory} ${weftExecutable} endpoints -o json | true`;
    t.equal(run('bash', ['-c', `set -o pipefail; (${script}) 2>&1; true`]), '');
  });

  t.same(node.snapshot(), before, 'looking changes nothing');
  t.match(await node.check(guests[0]?.attach ?? fail(), guests[0]?.result), { exitCode: 0 });
});

t.test('a node that nobody has used', { skip }, async (t) => {
  const node = createLab(t, { nodes: 1 }).node(1);
  const { state, run: runDirectory } = placesOf(node);
  for (const directory of [state, runDirectory]) rmSync(directory, { recursive: true });
  const left = readdirSync(join(state, '..'));
  t.match(await runWeft(node, ['status']), { exitCode: 0, stdout: /^weft is well\nno daemon .*\nthere is no ledger at \S+ledger\.db: no container was attached on this node yet\n/ });
  for (const [command, empty] of [['endpoints', 'no endpoints\n'], ['tenants', 'no tenants\n']] as const) {
    t.match(await runWeft(node, [command]), { exitCode: 0, stdout: empty, stderr: /^weft: there is no ledger at \S+: no container was attached/ });
    t.match(await runWeft(node, [command, '-o', 'json']), { exitCode: 0, stdout: '[]\n' });
  }
  t.same(readdirSync(join(state, '..')), left, 'no directory and no ledger was made');
});

t.test('tenants of the node configuration, before they have a container', { skip }, async (t) => {
  const node = createLab(t, { nodes: 1 }).node(1);
  const example = new URL('../../conf/weft.yaml', import.meta.url).pathname;
  t.match(readFileSync(example, 'utf8'), /name: blue/);
  const { exitCode, stdout } = await runWeft(node, ['tenants', '-o', 'json'], { variables: { WEFT_CONFIG: example } });
  t.equal(exitCode, 0);
  t.match(JSON.parse(stdout), [
    { tenant: 'blue', vni: 1001, isConfigured: true, isPresent: false, vtepAddress: null, pools: [{ ranges: ['10.1.1.10-10.1.1.99'], size: 73, free: 73 }, {}] },
    { tenant: 'green', vni: 1002 },
  ]);
});

function fail(): never {
  throw new Error('the scene has no first container');
}
