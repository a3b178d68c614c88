/** The flows of weft's bridge, and whose they are by their cookies. */
import type { OpenVSwitch } from '../../pkg/testing/openvswitch.ts';
import { integrationBridge } from './node-switch.ts';

/** The letters "wef", the VNI, and what of the tenant it is: the parts of a cookie of weft's. */
const cookiePattern = /cookie=0x776566([0-9a-f]{6})([0-9a-f]{4})/;
/** Kinds of flows that belong to no port of this node: the tenant's own, learned ones, and endpoints' elsewhere. */
const kindsOfTenant = new Set(['0000', 'fffe', 'ffff']);

/** Whether a line of ovs-ofctl shows a flow that the switch has learned from a frame: such come and go with traffic. */
export function isLearned(line: string): boolean {
  return /^cookie=0x776566[0-9a-f]{6}fffe/.test(line);
}

/** Whose flows there are, such as `tenant 1001` and `weft-p… of 1001`; those of every tenant are not among them. */
export function ownersOfFlows(ovs: OpenVSwitch): readonly string[] {
  const names = portNames(ovs);
  const owners = rawFlows(ovs).flatMap((line) => {
    const [, vni = '0', low = ''] = cookiePattern.exec(line) ?? [];
    if (Number(`0x${vni}`) === 0) return [];
    return [kindsOfTenant.has(low) ? `tenant ${Number(`0x${vni}`)}` : `${names.get(Number(`0x${low}`)) ?? `the port ${low}, which is not there,`} of ${Number(`0x${vni}`)}`];
  });
  return [...new Set(owners)].sort();
}

/**
 * All flows but the learned ones, without counters, in an order of their own. Ports have their names in the place of their numbers: a
 * restart of ovs-vswitchd may give them others, and so does making one anew.
 */
export function flowLines(ovs: OpenVSwitch): readonly string[] {
  const names = portNames(ovs);
  const nameOf = (number: number): string => names.get(number) ?? String(number);
  return rawFlows(ovs).map((line) => line
    .replace(/^(cookie=0x776566[0-9a-f]{6})([0-9a-f]{4})/, (_match, head: string, low: string) => `${head} ${low === '0000' ? low : nameOf(Number(`0x${low}`))}`)
    .replace(/\bin_port=(\d+)/g, (_match, number: string) => `in_port=${nameOf(Number(number))}`)
    .replace(/(?:output:\d+,?)+/g, (list) => list.split(',').map((one) => one.replace(/\d+/, (number) => nameOf(Number(number)))).sort().join(','))).sort();
}

/** All that weft has on the switch, without what is new with each making: what the system's own tools say of bridges, ports, tunnels and flows. */
export function describeSwitch(ovs: OpenVSwitch): unknown {
  const vsctl = (...args: readonly string[]): string => ovs.vsctl('--no-wait', ...args);
  const bridges = vsctl('list-br').split('\n').filter((name) => name !== '');
  if (!bridges.includes(integrationBridge)) return bridges;
  const names = vsctl('list-ports', integrationBridge).split('\n').filter((name) => name !== '').sort();
  const tunnels = names.filter((name) => name.startsWith('weft-t')).map((name) => vsctl('--columns=name,type,options', 'list', 'interface', name));
  return { bridges, names, tunnels, failMode: vsctl('get-fail-mode', integrationBridge), flows: flowLines(ovs) };
}

function portNames(ovs: OpenVSwitch): ReadonlyMap<number, string> {
  const text = ovs.ofctl('dump-ports-desc', integrationBridge);
  return new Map([...text.matchAll(/^ (\d+)\(([^)]+)\):/gm)].map(([, number, name]) => [Number(number), name ?? '']));
}

function rawFlows(ovs: OpenVSwitch): readonly string[] {
  return ovs.ofctl('dump-flows', integrationBridge, '--no-stats').split('\n').map((line) => line.trim()).filter((line) => line.startsWith('cookie=') && !isLearned(line));
}
