/** What a switch may have left of weft's: marked like weft's own, and belonging to nothing. */
import type { OpenVSwitch } from '../../pkg/testing/openvswitch.ts';
import { integrationBridge } from './node-switch.ts';

const tunnel = 'weft-taaaaaaaab';
/** Of a VNI that no tenant has, and of a port of VNI 1001 that is not there. */
const strayCookies = ['0x77656600004e0000', '0x7765660003e900aa'];

/** Makes a port of a link, a tunnel and flows on weft's bridge, which is there. @returns what they are called when they are removed */
export function makeSwitchGarbage(ovs: OpenVSwitch, link: string): readonly string[] {
  ovs.vsctl('add-port', integrationBridge, link, ...mark(link, 'port'));
  ovs.vsctl('add-port', integrationBridge, tunnel, '--', 'set', 'interface', tunnel, 'type=vxlan', 'options:remote_ip=192.0.2.7', 'options:dst_port=4799', ...mark(tunnel, 'tunnel'));
  for (const [priority, cookie] of strayCookies.entries()) ovs.ofctl('add-flow', integrationBridge, `cookie=${cookie},table=7,priority=${priority},actions=drop`);
  return [`the port ${link} of Open vSwitch`, `the tunnel ${tunnel} of Open vSwitch`, 'flows of VNI 78', 'flows of port 170 of VNI 1001'];
}

/** Makes a bridge that looks like weft's and has such a port. */
export function makeStrayBridge(ovs: OpenVSwitch, link: string): void {
  ovs.addBridge(integrationBridge);
  ovs.vsctl('set', 'bridge', integrationBridge, 'external_ids:weft=bridge', 'protocols=OpenFlow13', '--', 'add-port', integrationBridge, link, ...mark(link, 'port'));
}

function mark(name: string, role: 'port' | 'tunnel'): readonly string[] {
  return ['interface', 'port'].flatMap((table) => ['--', 'set', table, name, `external_ids:weft=${role}`]);
}
