/** The spare tunnel: what it is made of, that it carries what zebra takes away, and that it is no way in. */
import t from 'tap';
import { parseAddress, vniMax } from '../../netaddr/netaddr.ts';
import { bridgeName, spareName, sparePortName, vxlanName } from '../../overlay/names.ts';
import { run } from '../../testing/command.ts';
import { findLink, ipJson, readAddresses, readFdb, type ObservedLink } from '../../testing/observe.ts';
import { skipUnless } from '../../testing/requirements.ts';
import { blue, createContainer, createNode, removeSegment, testPort } from '../test-node.ts';
import { linuxBridgeDatapath } from './linuxbridge.ts';
import { readPermanent, wipeAsZebra, withEvpn } from './test-evpn.ts';
import { createEvpnNodes, startPings, type EvpnNode } from './test-evpn-scene.ts';

const skip = skipUnless({ root: true, tools: ['ip', 'bridge', 'nft', 'ping', 'tc'] });
const segment = withEvpn(blue);
const [bridge, vxlan, tunnel, port] = [bridgeName(blue.vni), vxlanName(blue.vni), spareName(blue.vni), sparePortName(blue.vni)];

void t.test('a segment with a control plane has a spare tunnel', { skip }, async (t) => {
  const [node, container] = [await createNode(t, linuxBridgeDatapath), createContainer(t)];
  await node.datapath.attach({ segment, port: testPort(segment, 5), netnsFd: container.fd });
  t.match(findLink(node.netns, tunnel), { mtu: 1500, ifalias: 'weft tenant blue VNI 1001', linkinfo: { info_kind: 'vxlan', info_data: { id: vniMax - 1001, local: '192.0.2.1', port: 24789, learning: false } } });
  t.equal(findLink(node.netns, tunnel)?.master, undefined);
  t.match(findLink(node.netns, port), {
    mtu: 1500, master: bridge, ifalias: 'weft tenant blue VNI 1001', linkinfo: { info_kind: 'ifb', info_slave_data: { flood: true, mcast_flood: false, bcast_flood: false, learning: false, isolated: true } },
  });
  t.match(findLink(node.netns, vxlan)?.linkinfo?.info_slave_data, { flood: false, neigh_suppress: true, isolated: true, learning: true });
  t.match(findLink(node.netns, testPort(segment, 5).hostIf)?.linkinfo?.info_slave_data, { neigh_suppress: false, isolated: false });
  t.match(findLink(node.netns, bridge), { mtu: 1450 });
  const actions = JSON.parse(run('tc', ['-n', node.netns, '-j', 'filter', 'show', 'dev', port, 'egress'])) as readonly { readonly options?: { readonly actions?: readonly unknown[] } }[];
  t.match(actions.flatMap(({ options }) => options?.actions ?? []), [{ kind: 'mirred', mirred_action: 'redirect', direction: 'egress', to_dev: tunnel }]);
  for (const name of [tunnel, port]) {
    t.match(ipJson<readonly (ObservedLink & { readonly inet6_addr_gen_mode: string })[]>(node.netns, '-d', 'link', 'show', name), [{ inet6_addr_gen_mode: 'none' }]);
    for (const flag of ['UP', 'NOARP']) t.ok(findLink(node.netns, name)?.flags.includes(flag), `${name} is ${flag}`);
    t.same(readAddresses(node.netns, name), []);
  }
  t.same(readPermanent(node.netns, bridge), ['10.1.1.5 02:00:00:00:00:05', 'fd00:1::5 02:00:00:00:00:05']);
  await removeSegment(node.datapath, { segment, remaining: [], ports: [testPort(segment, 5)] });
  t.same(ipJson<readonly ObservedLink[]>(node.netns, 'link', 'show').map(({ ifname }) => ifname).filter((name) => name.startsWith('weft-')), []);
});

/** Entries of remote VTEPs at a VXLAN device. */
function remoteEntries({ node }: EvpnNode, device: string): readonly string[] {
  return readFdb(node.netns, device).filter(({ dst }) => dst !== undefined).map(({ mac, dst = '' }) => `${mac} ${dst}`);
}

function sentBy({ node }: EvpnNode, device: string): number {
  const [link] = ipJson<readonly { readonly stats64: { readonly tx: { readonly packets: number } } }[]>(node.netns, '-s', 'link', 'show', device);
  return link?.stats64.tx.packets ?? 0;
}

for (const family of [4, 6] as const) {
  for (const learning of ['on', 'off'] as const) {
    void t.test(`over IPv${family}, learning ${learning}: zebra takes everything away, on both nodes, under a thousand pings in a second`, { skip }, async (t) => {
      const nodes = await createEvpnNodes(t, family);
      for (const { node } of nodes) {
        run('ip', ['-n', node.netns, 'link', 'set', vxlan, 'type', 'vxlan', learning === 'on' ? 'learning' : 'nolearning']);
        run('bridge', ['-n', node.netns, 'link', 'set', 'dev', vxlan, 'learning', learning]);
      }
      for (const address of ['10.1.1.6', 'fd00:1::6']) {
        const pings = startPings(t, nodes[0].container, { address, count: 2000 });
        for (const [at, { node, segment: own }] of nodes.entries()) {
          await pings.until(500 * (at + 1));
          wipeAsZebra(node.netns, own);
          if (learning === 'off') t.same(remoteEntries(nodes[at] as EvpnNode, vxlan), [], 'flood list and all');
        }
        t.same(await pings.ended, { sent: 2000, received: 2000 }, `${address}: none is lost`);
      }
      if (learning === 'off') for (const node of nodes) t.ok(sentBy(node, tunnel) > 1000, 'the spare tunnel has carried them');
      for (const { remotes, segment: own, remote } of nodes) remotes.restoreRemotes(own, [remote]);
      const before = sentBy(nodes[0], tunnel);
      t.same(await startPings(t, nodes[0].container, { address: '10.1.1.6', count: 100 }).ended, { sent: 100, received: 100 });
      t.equal(sentBy(nodes[0], tunnel), before, 'it has no more to do when they are put back');
    });
  }
}

void t.test('a VTEP that zebra did not tell of yet is reached by the spare tunnel alone', { skip }, async (t) => {
  const [first, second] = await createEvpnNodes(t);
  const moved = { ...first.remote, vtep: parseAddress('192.0.2.99') };
  first.remotes.holdRemotes(first.segment, [moved]);
  t.same(remoteEntries(first, tunnel), ['02:00:00:00:00:06 192.0.2.99'], 'a MAC has one place');
  first.remotes.holdRemotes(first.segment, [first.remote]);
  wipeAsZebra(first.node.netns, first.segment);
  t.same(await startPings(t, second.container, { address: '10.1.1.5', count: 50 }).ended, { sent: 50, received: 50 });
});
