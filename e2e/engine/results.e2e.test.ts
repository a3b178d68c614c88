/** What the verbs answer, in the form of each version of the specification. */
import t from 'tap';
import { netnsPath } from '../../pkg/testing/netns.ts';
import { findLink, readAddresses } from '../../pkg/testing/observe.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { testEachDatapath } from '../harness/each-datapath.ts';
import { attachEnv } from '../harness/lab-node.ts';
import { skipWithoutLab } from '../harness/weft-executable.ts';
import { done, refused, succeeded } from './outcomes.ts';
import { createSite, hostIfOf, newcomer, type Site, type SiteOptions } from './site.ts';

const skip = skipWithoutLab();
const routes = [{ dst: '0.0.0.0/0' }, { dst: '192.0.2.0/24', gw: '10.1.1.2', mtu: 1400 }];
/** Of VNI 1001. A switch has an interface with it only where the gateway is on the node. */
const gatewayMac = '0e:77:67:00:03:e9';
const dns = { nameservers: ['10.1.1.53'], domain: 'blue.example' };

async function createRoutedSite(t: Parameters<typeof createSite>[0], options: SiteOptions = {}): Promise<Site> {
  const ranges = [[{ subnet: '10.1.1.0/24', rangeStart: '10.1.1.10' }], [{ subnet: 'fd00:1::/64', rangeStart: 'fd00:1::10' }]];
  return createSite(t, { ...options, extra: { dns, ipam: { type: 'weft', ranges, routes } } });
}

testEachDatapath('the result of ADD', async (t, datapath) => {
  const site = await createRoutedSite(t, { datapath });
  for (const version of ['0.4.0', '1.0.0', '1.1.0']) {
    await t.test(`in the form of ${version}`, async (t) => {
      const attached = await site.lab.attach(site.node, { label: `v${version}`, conf: { ...site.conf, cniVersion: version } });
      const { result } = attached;
      const bridge = findLink(site.node.netns, 'weft-br1001')?.address ?? gatewayMac;
      const host = findLink(site.node.netns, hostIfOf(attached));
      const container = findLink(attached.netns, 'eth0');
      const withMtu = (mtu: number): object => (version === '1.1.0' ? { mtu } : {});
      const withVersion = (number: string): object => (version === '0.4.0' ? { version: number } : {});
      const [ipv4, ipv6] = readAddresses(attached.netns, 'eth0').filter(({ scope }) => scope === 'global').map(({ local, prefixlen }) => `${local}/${prefixlen}`);
      t.strictSame(result, {
        cniVersion: version,
        interfaces: [
          { name: 'weft-br1001', mac: bridge, ...withMtu(1450) },
          { name: host?.ifname, mac: host?.address, ...withMtu(1450) },
          { name: 'eth0', mac: container?.address, ...withMtu(1450), sandbox: netnsPath(attached.netns) },
        ],
        ips: [
          { ...withVersion('4'), address: ipv4, gateway: '10.1.1.1', interface: 2 },
          { ...withVersion('6'), address: ipv6, gateway: 'fd00:1::1', interface: 2 },
        ],
        routes: [{ dst: '0.0.0.0/0', gw: '10.1.1.1' }, { dst: '192.0.2.0/24', gw: '10.1.1.2', ...(version === '1.1.0' ? { mtu: 1400 } : {}) }],
        dns,
      }, 'what is printed is what the kernel has');
    });
  }
});

t.test('every verb of every version goes with the result of its ADD', { skip }, async (t) => {
  const site = await createRoutedSite(t);
  for (const cniVersion of ['0.4.0', '1.0.0', '1.1.0']) {
    const attached = await site.lab.attach(site.node, { label: `all${cniVersion}`, conf: { ...site.conf, cniVersion } });
    t.match(await site.node.check(attached.attach, attached.result), done, `CHECK ${cniVersion}`);
    const stdin = JSON.stringify({ ...attached.attach.conf, prevResult: attached.result });
    t.match(await site.node.call({ env: attachEnv('DEL', attached.attach), stdin }), done, `DEL ${cniVersion} with prevResult`);
  }
});

t.test('verbs that a version does not have', { skip }, async (t) => {
  const { node, conf } = await createSite(t);
  for (const verb of ['GC', 'STATUS']) {
    for (const cniVersion of ['0.4.0', '1.0.0']) {
      const stdin = JSON.stringify({ ...conf, cniVersion, 'cni.dev/valid-attachments': [] });
      t.match(await node.call({ env: { CNI_COMMAND: verb }, stdin }), refused(1, /cniVersion must be 1\.1\.0 or newer for/), `${verb} in ${cniVersion}`);
    }
  }
});

t.test('VERSION', { skip }, async (t) => {
  const { node } = await createSite(t);
  const supportedVersions = ['0.4.0', '1.0.0', '1.1.0'];
  t.strictSame((await node.version()).result, { cniVersion: '1.0.0', supportedVersions });
  const rows: readonly (readonly [string, string])[] = [['{"cniVersion":"0.4.0"}', '0.4.0'], ['{"cniVersion":"9.9.9"}', '9.9.9'], ['{}', '1.1.0'], ['', '1.1.0']];
  for (const [stdin, cniVersion] of rows) {
    const outcome = await node.call({ env: { CNI_COMMAND: 'VERSION' }, stdin });
    t.strictSame(outcome.result, { cniVersion, supportedVersions }, `answers ${stdin === '' ? 'empty stdin' : stdin}: ${describeOutcome(outcome)}`);
  }
});

t.test('as the second plugin of a chain', { skip }, async (t) => {
  const site = await createRoutedSite(t);
  const attach = newcomer(site, 'chained', { ifName: 'net1' });
  const previous = {
    cniVersion: '1.0.0',
    interfaces: [{ name: 'cni0', mac: '02:00:00:00:00:01' }, { name: 'eth0', mac: '02:00:00:00:00:02', sandbox: netnsPath(attach.netns) }],
    ips: [{ address: '10.88.0.5/16', gateway: '10.88.0.1', interface: 1 }],
    routes: [{ dst: '198.51.100.0/24', gw: '10.88.0.1' }],
    dns: { nameservers: ['10.88.0.53'] },
  };
  const added = await site.node.call({ env: attachEnv('ADD', attach), stdin: JSON.stringify({ ...site.conf, prevResult: previous }) });
  t.match(added, succeeded, describeOutcome(added));
  const { result } = added;
  t.strictSame(result?.interfaces?.slice(0, 2), previous.interfaces, 'what was there before comes first, unchanged');
  t.same(result?.interfaces?.map(({ name }) => name), ['cni0', 'eth0', 'weft-br1001', hostIfOf(added), 'net1']);
  t.same(result?.ips?.map((ip) => [ip.address, ip.interface]), [['10.88.0.5/16', 1], ['10.1.1.10/24', 4], ['fd00:1::10/64', 4]], 'own indices are shifted');
  t.strictSame(result?.routes?.[0], previous.routes[0]);
  t.same(result?.dns, { ...dns, nameservers: ['10.88.0.53'] }, "of dns the earlier plugin's fields stand");
  t.match(await site.node.check(attach, result), done, 'CHECK of the whole');
  t.match(await site.node.check(attach, previous), refused(108, /prevResult lacks the interface net1/), 'CHECK misses its own part');
  t.match(await site.node.del(attach), done);
  t.notOk(findLink(attach.netns, 'net1'));
});
