/** A service on the node, and containers that must not reach it: by honest means and by frames made by hand. */
import t from 'tap';
import { runIn } from '../../pkg/testing/command.ts';
import { ping } from '../harness/container.ts';
import { renderTable } from '../harness/text-table.ts';
import { skipWithoutLabOf } from '../harness/weft-executable.ts';
import { arpPacket, broadcastMac, ethernet, etherTypes, udpPacket } from './frames.ts';
import { startHostListener } from './host-listener.ts';
import type { Scene } from './scene.ts';
import { setStage } from './stage.ts';

t.setTimeout(170_000);
const port = 8080;
/** A Linux bridge hands frames for it to the port they came in by, past the bridge's netfilter hooks (net/bridge/br_input.c). */
const lldpMac = '01:80:c2:00:00:0e';

const rows = [
  { title: 'Linux bridges, a tenant without a gateway', datapath: 'bridge', gateways: false },
  { title: 'Linux bridges, a tenant with a gateway', datapath: 'bridge', gateways: true },
  { title: 'Open vSwitch, a tenant without a gateway', datapath: 'ovs', gateways: false },
  { title: 'Open vSwitch, a tenant with a gateway', datapath: 'ovs', gateways: true },
] as const;

for (const { title, datapath, gateways } of rows) {
  t.test(`services of the node: ${title}`, { skip: skipWithoutLabOf([datapath], 'tcpdump', 'python3') }, async (t) => {
    const stage = await setStage(t, { datapaths: [datapath, datapath], gateways, forwarding: true });
    const { scene, attacker } = stage;
    const node = stage.lab.node(1);
    const listener = await startHostListener(t, node.netns, port);
    // From the underlay the service is reached: it listens, and nothing of weft is in the way.
    runIn(stage.lab.underlayNetns, 'bash', '-c', `echo -n control > /dev/udp/${node.ipv4}/${port}`);
    t.ok(await listener.heard('udp control'), 'control: the service is reached from the underlay');

    const rows = [['UDP from a container', 'sent', 'heard by the service']];
    const markers: { readonly name: string; readonly marker: string; readonly sent: number }[] = [];
    for (const { name, frames } of serviceFrames(scene)) {
      const marker = stage.nextMarker();
      markers.push({ name, marker, sent: await attacker.sender.send(frames(marker)) });
    }
    await attacker.sender.send([broadcastMac, lldpMac].map((dst) => arpForNode(scene, dst)));
    t.ok(await stage.confirm(), 'the tenants still work');
    // The service hears in order: when it has this one, it has whatever came before.
    runIn(stage.lab.underlayNetns, 'bash', '-c', `echo -n last > /dev/udp/${node.ipv4}/${port}`);
    t.ok(await listener.heard('udp last'));
    for (const { name, marker, sent } of markers) {
      const heard = listener.lines.filter((line) => line === `udp ${marker}`).length;
      rows.push([name, String(sent), String(heard)]);
      t.equal(heard, 0, `${name} is not heard`);
    }
    t.comment(`\n${renderTable(rows)}`);

    for (const address of [node.ipv4, node.ipv6]) t.notOk(await connects(attacker.guest.netns, address), `no TCP to ${address}`);
    for (const address of Object.values(scene.node.ownGateway)) t.notOk(await connects(attacker.guest.netns, address), `no TCP to the gateway ${address}`);

    if (gateways) {
      t.equal(await ping(attacker.guest.netns, scene.node.ownGateway.ipv4), 1, 'the gateway answers pings');
      return;
    }
    await stage.drain();
    t.equal(arpAnswersOfNode(scene, attacker.capture.frames), 0, 'the node answers no ARP request of a tenant without a gateway');
    t.equal(await ping(node.netns, attacker.station.ipv4), 0, 'and does not reach the container itself');
  });
}

/** Datagrams for the service, to each MAC and each address it might be taken in by. */
function serviceFrames({ attacker, node }: Scene): readonly { readonly name: string; readonly frames: (marker: string) => readonly Buffer[] }[] {
  const macs = [node.hostIfMac, node.bridgeMac, node.vxlanMac, node.uplinkMac, broadcastMac, lldpMac, '01:00:5e:00:00:01'];
  const targets = [
    { name: "to the node's address", family: 'ipv4', dst: node.ownVtep },
    { name: 'to the own gateway', family: 'ipv4', dst: node.ownGateway.ipv4 },
    { name: "to the other tenant's gateway", family: 'ipv4', dst: node.foreignGateway.ipv4 },
    { name: 'to the broadcast address', family: 'ipv4', dst: '255.255.255.255' },
    { name: 'to loopback', family: 'ipv4', dst: '127.0.0.1' },
    { name: "to the node's IPv6 address", family: 'ipv6', dst: 'fd00:200::11' },
    { name: 'to the own IPv6 gateway', family: 'ipv6', dst: node.ownGateway.ipv6 },
    { name: 'to all nodes', family: 'ipv6', dst: 'ff02::1' },
  ] as const;
  return targets.map(({ name, family, dst }) => ({
    name,
    frames: (marker) =>
      macs.map((mac) =>
        ethernet({ dst: mac, src: attacker.mac, type: etherTypes[family] }, udpPacket({ src: attacker[family], dst }, Buffer.from(marker), { port })),
      ),
  }));
}

/** A question for the MAC of the node's address on the underlay. */
function arpForNode({ attacker, node }: Scene, dst: string): Buffer {
  const question = { operation: 'request', senderMac: attacker.mac, senderIp: attacker.ipv4, targetIp: node.ownVtep } as const;
  return ethernet({ dst, src: attacker.mac, type: etherTypes.arp }, arpPacket(question, ''));
}

/** ARP replies among the frames that the attacker's node sent. */
function arpAnswersOfNode({ node }: Scene, frames: readonly Buffer[]): number {
  const own = [node.hostIfMac, node.bridgeMac, node.vxlanMac, node.uplinkMac].map((mac) => mac.replaceAll(':', ''));
  return frames.filter((frame) => own.includes(frame.toString('hex', 6, 12)) && frame.readUInt16BE(12) === etherTypes.arp).length;
}

/** Whether a TCP connection comes about within a second. */
async function connects(netns: string, address: string): Promise<boolean> {
  try {
    runIn(netns, 'timeout', '1', 'bash', '-c', `exec 3<>/dev/tcp/${address}/${port}`);
    return true;
  } catch {
    return false;
  }
}
