/** Who gets into the tunnel by which daemons probe: the other node, and neither a container nor a host of the underlay that is no peer. */
import t from 'tap';
import { startCapture } from '../../pkg/testing/capture.ts';
import { findLink } from '../../pkg/testing/observe.ts';
import { openFrameSender } from '../attack/frame-sender.ts';
import { underlayTunnel } from '../attack/tunnel-attacks.ts';
import { readInterface } from '../harness/container.ts';
import { createDaemonLab } from '../harness/daemon.ts';
import { attachGuest, blue } from '../harness/tenant.ts';
import { skipWithoutDaemonLab } from '../harness/weft-executable.ts';
import { probeLinks } from './scene.ts';

t.setTimeout(120_000);
const probeVni = 16_777_215;

void t.test('the probe tunnel is the nodes’ own', { skip: skipWithoutDaemonLab('tcpdump', 'python3') }, async (t) => {
  const { lab, daemons: [daemon] } = await createDaemonLab(t, { nodes: 3 });
  const [node1, node2, node3] = [lab.node(1), lab.node(2), lab.node(3)];
  const guest = await attachGuest(lab, { ...blue, extra: { peers: [node2.ipv4] } }, 1, { label: 'blue-1' });
  await daemon?.eventually('has a probe tunnel', () => probeLinks(node1).length === 1);
  await lab.settle();
  const [tunnel = ''] = probeLinks(node1);
  const [atTunnel, atGuest] = [await startCapture(t, node1.netns, tunnel), await startCapture(t, guest.netns, 'eth0')];

  const { mac } = readInterface(guest.netns);
  const station = { name: 'blue-1', tenant: 'blue', mac, ipv4: guest.participant.ipv4, ipv6: guest.participant.ipv6, linkLocal: 'fe80::1' };
  const target = { dstIp: node1.ipv4, vni: probeVni, encapsulation: 'vxlan' } as const;
  const [hostIf = ''] = [guest.result.interfaces?.find(({ sandbox }) => sandbox === undefined || sandbox === '')?.name].filter((name) => name !== undefined);
  const macs = [hostIf, 'weft-br1001', 'weft-vx1001', 'eth0', tunnel].flatMap((name) => findLink(node1.netns, name)?.address ?? []);
  t.ok(macs.length >= 4);
  const container = openFrameSender(t, guest.netns, 'eth0');
  for (const dstMac of macs) {
    for (const srcIp of [guest.participant.ipv4, node2.ipv4]) await container.send(underlayTunnel({ ...target, srcMac: mac, dstMac, srcIp }, [station])('wt-container'));
  }
  const uplink = (number: number): string => findLink(lab.node(number).netns, 'eth0')?.address ?? '';
  const stranger = openFrameSender(t, node3.netns, 'eth0');
  await stranger.send(underlayTunnel({ ...target, srcMac: uplink(3), dstMac: uplink(1), srcIp: node3.ipv4 }, [station])('wt-stranger'));
  const peer = openFrameSender(t, node2.netns, 'eth0');
  await peer.send(underlayTunnel({ ...target, srcMac: uplink(2), dstMac: uplink(1), srcIp: node2.ipv4 }, [station])('wt-peer'));
  t.ok(await atTunnel.waitFor((capture) => capture.count('wt-peer') > 0, 10_000), 'control: a peer reaches the tunnel');
  for (const capture of [atTunnel, atGuest]) await capture.drain();
  t.equal(atTunnel.count('wt-container'), 0);
  t.equal(atTunnel.count('wt-stranger'), 0);
  t.equal(atGuest.count('wt-peer'), 0, 'and nothing comes out of it to a container');
});
