/** Where the daemon is killed, replaced and restarted: see the drawing in README.md. */
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { throughLauncher } from '../harness/daemon.ts';
import type { DatapathName, LabNode, NodeSnapshot } from '../harness/lab-node.ts';
import { createLabOf, type Attached, type Lab } from '../harness/lab.ts';
import { netConf, type NetConf } from '../harness/net-conf.ts';
import { Meter } from '../meter/meter.ts';
import { Load, type Worker } from './load.ts';

export interface Scene {
  readonly lab: Lab;
  /** The node whose daemon has a hard life. */
  readonly node: LabNode;
  /** The node before its first container, and with the residents and nobody else. */
  readonly empty: NodeSnapshot;
  readonly atRest: NodeSnapshot;
  /** Containers of blue that exchange packets: two on the node, and one on another node that has no daemon. */
  readonly residents: readonly Attached[];
  readonly meter: Meter;
  readonly load: Load;
}

export const blueVni = 1001;
export const redVni = 1002;

/** Addresses of each family in the pool of a tenant on the node: as many as can be held at once, so that one leaked is one missing. */
const blueAddresses = 4;
const redAddresses = 2;
/** The meter ends by itself, whatever became of the test. */
const meterSeconds = 400;

/** Attaches the residents, on nodes of the datapath, and has them talk. No daemon runs yet. */
export async function createScene(scope: TeardownScope, datapath: DatapathName): Promise<Scene> {
  const lab = await createLabOf(scope, [datapath, datapath], throughLauncher);
  const [node, far] = [lab.node(1), lab.node(2)];
  const empty = node.snapshot();
  const blue = tenantConf(node, { name: 'blue', vni: blueVni, peers: [far.ipv4], first: 10, count: blueAddresses });
  const red = tenantConf(node, { name: 'red', vni: redVni, peers: [far.ipv4], first: 10, count: redAddresses });
  const farBlue = tenantConf(far, { name: 'blue', vni: blueVni, peers: [node.ipv4], first: 30, count: 1 });
  const residents = [
    await lab.attach(node, { label: 'a', conf: blue }),
    await lab.attach(node, { label: 'b', conf: blue }),
    await lab.attach(far, { label: 'c', conf: farBlue }),
  ];
  await lab.settle();
  const workers: readonly Worker[] = [
    { name: 'blue-any', conf: blue, netns: lab.container('w1') },
    { name: 'blue-named', conf: blue, netns: lab.container('w2'), endpoint: 'db-0' },
    { name: 'red-any', conf: red, netns: lab.container('w3') },
    { name: 'red-named', conf: red, netns: lab.container('w4'), endpoint: 'db-0' },
  ];
  return { lab, node, empty, atRest: node.snapshot(), residents, meter: await startTraffic(scope, residents), load: new Load(node, workers) };
}

/** Every resident sends to every other, by IPv4 and by IPv6. */
async function startTraffic(scope: TeardownScope, residents: readonly Attached[]): Promise<Meter> {
  const meter = Meter.start(scope, { seconds: meterSeconds });
  for (const family of [4, 6] as const) {
    const stations = ['a', 'b', 'c'].map((name) => `${name}${family}`);
    for (const [index, { netns, result }] of residents.entries()) {
      const address = result.ips?.map((ip) => ip.address.split('/')[0] ?? '').find((text) => text.includes(':') === (family === 6));
      await meter.open(stations[index] ?? '', { netns, address: address ?? '' });
    }
    await meter.mesh(stations);
  }
  return meter;
}

interface TenantOnNode {
  readonly name: string;
  readonly vni: number;
  readonly peers: readonly string[];
  /** Last part of the first address. */
  readonly first: number;
  readonly count: number;
}

/** Both tenants have the same subnets. */
function tenantConf(node: LabNode, { name, vni, peers, first, count }: TenantOnNode): NetConf {
  const last = first + count - 1;
  const ranges = [
    [{ subnet: '10.1.1.0/24', rangeStart: `10.1.1.${first}`, rangeEnd: `10.1.1.${last}` }],
    [{ subnet: 'fd00:1::/64', rangeStart: `fd00:1::${first}`, rangeEnd: `fd00:1::${last}` }],
  ];
  return netConf({ name, vni, vtep: node.ipv4, peers, ranges });
}
