/**
 * VXLAN and Geneve from hosts of the underlay:
 *
 *   node1: blue and green containers     node2: blue, red     node3: no weft at all, sends by hand
 *   blue's and red's peers: node 2; green's peer: node 3. Node 3 may speak for green, and for nobody else.
 */
import t from 'tap';
import { startCapture, type Capture } from '../../pkg/testing/capture.ts';
import { findLink } from '../../pkg/testing/observe.ts';
import { readInterface } from '../harness/container.ts';
import { createLabOf, type Lab } from '../harness/lab.ts';
import { attachGuest, blue, red, type Guest, type Tenant } from '../harness/tenant.ts';
import { renderTable } from '../harness/text-table.ts';
import { skipWithoutLabOf } from '../harness/weft-executable.ts';
import { openFrameSender } from './frame-sender.ts';
import { linkLocalOf } from './frames.ts';
import type { Station } from './scene.ts';
import { underlayTunnel } from './tunnel-attacks.ts';

t.setTimeout(170_000);
const green: Tenant = { name: 'green', vni: 1003 };
const arrivalDeadlineMs = 5000;
const kinds = [
  { title: 'VXLAN, Linux bridges', datapath: 'bridge', encapsulation: 'vxlan' },
  { title: 'VXLAN, Open vSwitch', datapath: 'ovs', encapsulation: 'vxlan' },
  { title: 'Geneve, Open vSwitch', datapath: 'ovs', encapsulation: 'geneve' },
] as const;

for (const { title, datapath, encapsulation } of kinds) {
  for (const underlay of [4, 6] as const) {
    t.test(`frames from a host that is no peer of the tenant, over IPv${underlay}: ${title}`, { skip: skipWithoutLabOf([datapath], 'tcpdump', 'python3') }, async (t) => {
      const lab = await createLabOf(t, [datapath, 'bridge', 'bridge']);
      const addressOf = (number: number): string => (underlay === 4 ? lab.node(number).ipv4 : lab.node(number).ipv6);
      const extra = encapsulation === 'vxlan' ? {} : { encapsulation };
      const guests = new Map<string, Guest>();
      for (const [tenant, peer] of [[blue, 2], [red, 2], [green, 3]] as const) {
        guests.set(tenant.name, await attachGuest(lab, { ...tenant, underlay, extra: { ...extra, peers: [addressOf(peer)] } }, 1, { label: tenant.name }));
      }
      await lab.settle();
      const listeners = await Promise.all([...guests.values()].map(async (guest) => ({ station: stationOf(guest), capture: await startCapture(t, guest.netns, 'eth0') })));
      const sender = openFrameSender(t, lab.node(3).netns, 'eth0');
      const stranger = { srcMac: macOf(lab, 3), dstMac: macOf(lab, 1), srcIp: addressOf(3), dstIp: addressOf(1), encapsulation };

      const rows = [['VNI', 'sent', ...listeners.map(({ station }) => `reached ${station.name}`)]];
      const vnis = [blue.vni, red.vni, green.vni, 1, 0];
      for (const vni of vnis) {
        const frames = underlayTunnel({ ...stranger, vni }, listeners.map(({ station }) => station))(markerOf(vni));
        rows.push([String(vni), String(await sender.send(frames))]);
      }
      // Frames of one sender stay in order, so once the last one has arrived, so have the others.
      await sender.send(underlayTunnel({ ...stranger, vni: green.vni }, [])('wt-last'));
      t.ok(await captureOf(listeners, 'green').waitFor((capture) => capture.count('wt-last') > 0, arrivalDeadlineMs), "control: the peer of green reaches green's container");
      for (const { capture } of listeners) await capture.drain();

      for (const [index, vni] of vnis.entries()) {
        for (const { station, capture } of listeners) {
          const reached = capture.count(markerOf(vni), { exceptFrom: station.mac });
          rows[index + 1]?.push(String(reached));
          if (vni === green.vni && station.name === 'green') t.ok(reached > 0, `control: VNI ${vni} reaches ${station.name}`);
          else t.equal(reached, 0, `VNI ${vni} from node 3 does not reach ${station.name}`);
        }
      }
      t.comment(`\n${renderTable(rows)}`);
    });
  }
}

function stationOf({ netns, participant: { name, tenant, ipv4, ipv6 } }: Guest): Station {
  const { mac, linkLocal = linkLocalOf(mac) } = readInterface(netns);
  return { name, tenant, mac, ipv4, ipv6, linkLocal };
}

function captureOf(listeners: readonly { readonly station: Station; readonly capture: Capture }[], name: string): Capture {
  const listener = listeners.find(({ station }) => station.name === name);
  if (listener === undefined) throw new Error(`nobody is called ${name}`);
  return listener.capture;
}

function macOf(lab: Lab, number: number): string {
  return findLink(lab.node(number).netns, lab.node(number).underlayIf)?.address ?? '';
}

function markerOf(vni: number): string {
  return `wt-vni-${String(vni).padStart(8, '0')}`;
}
