/** Set-ups in which an ADD cannot work: what the plugin and the daemon say, by ADD and by STATUS, and that nothing is left of the attempt. */
import { createServer } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t, { type Test } from 'tap';
import { temporaryDirectory } from '../../pkg/testing/directory.ts';
import { readLinks } from '../../pkg/testing/observe.ts';
import { startOpenVSwitch, type OpenVSwitch } from '../../pkg/testing/openvswitch.ts';
import { runWeft } from '../command-line/run-weft.ts';
import { pendingDels } from '../daemon-kill/audit.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { Daemon, throughLauncher } from '../harness/daemon.ts';
import type { DatapathName, LabNode } from '../harness/lab-node.ts';
import { createLabOf } from '../harness/lab.ts';
import { integrationBridge } from '../harness/node-switch.ts';
import { red, tenantConf } from '../harness/tenant.ts';
import { skip } from './scene.ts';

t.setTimeout(240_000);

interface Site {
  readonly t: Test;
  readonly node: LabNode;
}

interface Trouble {
  readonly name: string;
  /** How the node is made. @default 'ovs' */
  readonly datapath?: DatapathName;
  /** Makes the set-up of it. */
  readonly prepare: (site: Site) => Promise<OpenVSwitch | undefined>;
  /** What is said, by ADD and by STATUS. */
  readonly says: RegExp;
  /** Codes of the ADD. */
  readonly codes: readonly number[];
}

const troubles: readonly Trouble[] = [
  {
    name: 'no Open vSwitch runs',
    async prepare({ node }) {
      await node.openVSwitch.stop();
      return undefined;
    },
    says: /database cannot be reached on \S+ \(.*(ECONNREFUSED|ENOENT).*\): start Open vSwitch .*or set ovs.database/s, codes: [11, 50],
  },
  {
    name: 'no socket is where the configuration says',
    async prepare({ node }) {
      node.useSwitch(node.openVSwitch, { database: '/run/no-such-directory/db.sock' });
      return node.openVSwitch;
    },
    says: /database cannot be reached on \/run\/no-such-directory\/db.sock \(.*ENOENT.*\): start Open vSwitch .*or set ovs.database/s, codes: [11, 50],
  },
  {
    name: 'somebody else listens on the socket',
    async prepare({ t, node }) {
      const path = join(temporaryDirectory(t), 'other.sock');
      const server = createServer((socket) => void socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n', () => socket.destroy()));
      await new Promise<void>((resolve) => server.listen(path, resolve));
      t.teardown(() => void server.close());
      node.useSwitch(node.openVSwitch, { database: path });
      return undefined;
    },
    says: /set ovs.database to/, codes: [5, 11, 50],
  },
  {
    name: 'the bridge is somebody else’s',
    async prepare({ node }) {
      node.openVSwitch.addBridge(integrationBridge);
      return node.openVSwitch;
    },
    says: /Cannot use the bridge weft-int: weft did not make it.*set ovs.bridge to a name that is free, or remove the bridge: ovs-vsctl del-br weft-int/s, codes: [50, 108, 109, 110, 111, 112],
  },
  {
    name: 'the kernel has no datapath of the type asked for',
    async prepare({ node }) {
      node.useSwitch(node.openVSwitch, { datapathType: 'system' });
      return node.openVSwitch;
    },
    says: /ovs.datapathType "system" is not available: .*set ovs.datapathType to "netdev"/s, codes: [50],
  },
  {
    name: 'the VTEP’s address is on a link that is not Open vSwitch’s',
    datapath: 'bridge',
    async prepare({ t, node }) {
      node.useSwitch(await startOpenVSwitch(t, { netns: node.netns }));
      return node.openVSwitch;
    },
    says: /packets to the other nodes leave by eth0, which is not a port of Open vSwitch: .*move the VTEP's address from eth0 to br-phy/s, codes: [50],
  },
];

for (const { name, datapath = 'ovs', prepare, says, codes } of troubles) {
  for (const way of ['the plugin', 'the daemon'] as const) {
    t.test(`${name}: by ${way}`, { skip }, async (t) => {
      const lab = await createLabOf(t, [datapath, 'bridge'], throughLauncher);
      const node = lab.node(1);
      const ovs = await prepare({ t, node });
      const before = look(node, ovs);
      const daemon = way === 'the daemon' ? await Daemon.start(t, node) : undefined;
      const conf = tenantConf(lab, red, 1);
      const status = await node.status(conf);
      t.equal(status.error?.code, 50, `STATUS answers 50: ${describeOutcome(status)}`);
      t.match(`${status.error?.msg}: ${status.error?.details ?? ''}`, says, 'STATUS says what to do');
      const attach = { conf, containerId: 'troubled', netns: lab.container('troubled') };
      const add = await node.add(attach);
      t.ok(codes.includes(add.error?.code ?? 0), `ADD answers one of ${codes.join(', ')}: ${describeOutcome(add)}`);
      t.match(`${add.error?.msg}: ${add.error?.details ?? ''}`, says, 'ADD says the same');
      t.same(look(node, ovs), before, 'nothing is left of the ADD');
      const del = await node.del(attach);
      t.equal(del.exitCode, 0, describeOutcome(del));
      t.same(JSON.parse((await runWeft(node, ['endpoints', '-o', 'json'])).stdout), [], 'the ledger has no endpoint');
      t.same(pendingDels(node), [], 'no DEL waits');
      t.comment(`STATUS ${Math.round(status.ms)} ms, ADD ${Math.round(add.ms)} ms, DEL ${Math.round(del.ms)} ms`);
      if (daemon !== undefined) t.equal(await daemon.stop(), 0, 'the daemon stops when told');
    });
  }
}

/** Links and rows. The guard's tables are the node's, with its first tenant. */
function look(node: LabNode, ovs: OpenVSwitch | undefined): unknown {
  return { links: readLinks(node.netns).map(({ ifname }) => ifname), rows: ovs?.vsctl('--columns=name,external_ids', 'list', 'port') };
}

/** As many as a flow can list; their rows stand for the containers, which nobody looks at without a daemon. */
const containersMax = 3000;

t.test('the tenant has all the containers that it can have on a node: by the plugin', { skip }, async (t) => {
  const lab = await createLabOf(t, ['ovs', 'bridge'], throughLauncher);
  const node = lab.node(1);
  const ovs = node.openVSwitch;
  const conf = tenantConf(lab, red, 1);
  const attached = await lab.attach(node, { label: 'first', conf });
  const ledger = new DatabaseSync(join(node.stateDirectory, 'ledger.db'));
  ledger.exec(`
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${containersMax - 1})
    INSERT INTO attachment (network, container_id, if_name, tenant, vni, netns, netns_id, host_if, mac, state, worker_pid, worker_start_time, ipam, conf, port, created_at)
    SELECT network, container_id || n, if_name, tenant, vni, netns, netns_id, printf('weft-p%09d', n), printf('06:77:00:00:%02x:%02x', n / 256, n % 256), state, worker_pid, worker_start_time, ipam, conf, port, created_at
    FROM attachment, numbers`);
  const before = look(node, ovs);
  const says = new RegExp(`VNI 1002 has ${containersMax} containers on this node: there is no room for another one`);
  const status = await node.status(conf);
  t.equal(status.error?.code, 50, describeOutcome(status));
  t.match(status.error?.msg, says);
  const add = await node.add({ conf, containerId: 'one-too-many', netns: lab.container('many') });
  t.equal(add.error?.code, 110, describeOutcome(add));
  t.match(add.error?.msg, says);
  t.same(look(node, ovs), before, 'nothing is left of the ADD');
  ledger.exec("DELETE FROM attachment WHERE host_if GLOB 'weft-p[0-9]*' AND mac GLOB '06:77:00:00:*'");
  ledger.close();
  await lab.detach(attached);
  t.same(ovs.vsctl('list-br').trim(), 'br-phy');
});
