/** What nodes of either datapath know of a tenant's endpoints elsewhere, as the system's own tools show it. */
import { setTimeout as delay } from 'node:timers/promises';
import { runWeft } from '../command-line/run-weft.ts';
import { integrationBridge } from '../harness/node-switch.ts';
import { blue, red, type Tenant } from '../harness/tenant.ts';
import { attachEvpnGuest, eventually, neighboursOf, remotesOf, type EvpnGuest, type EvpnNode, type EvpnScene } from './scene.ts';

/** Between two looks: each is a process of a hundred MB. */
const restMs = 500;

export const tenants: readonly Tenant[] = [blue, red];

/** One container of each tenant on every node; both tenants' have the same addresses. */
export async function attachAll({ lab, nodes }: EvpnScene): Promise<readonly EvpnGuest[]> {
  const guests: EvpnGuest[] = [];
  for (const tenant of tenants) {
    for (const index of nodes.keys()) guests.push(await attachEvpnGuest(lab, tenant, { node: index + 1, label: `${tenant.name}-${index + 1}` }));
  }
  await lab.settle();
  return guests;
}

/** What a node knows of a tenant's endpoints elsewhere: `<MAC> at <VTEP>`, and of addresses `<address> is <MAC>`. Sorted. */
export function knows(one: EvpnNode, vni: number): readonly string[] {
  if (one.node.datapath === 'ovs') return switchKnows(one, vni);
  const addresses = neighboursOf(one, `weft-br${vni}`).filter(({ extern_learn: learnt }) => learnt !== undefined).map(({ dst, lladdr = '' }) => `${dst} is ${lladdr}`);
  return [...remotesOf(one, vni), ...addresses].sort();
}

/** Flows say a MAC's VTEP; for an address of IPv4 what is answered, and for one of IPv6 whom the question goes to. Link-local addresses left out. */
function switchKnows({ node }: EvpnNode, vni: number): readonly string[] {
  const cookie = `cookie=0x776566${vni.toString(16).padStart(6, '0')}ffff/-1`;
  const lines = node.openVSwitch.ofctl('--no-stats', 'dump-flows', integrationBridge, cookie).split('\n');
  return lines.flatMap((line) => {
    const found = (pattern: RegExp): string => pattern.exec(line)?.[1] ?? '';
    if (line.includes('table=30')) return [`${found(/dl_dst=([^ ,]+)/)} at ${found(/set_field:([^ ]+)->tun_dst/)}`];
    const address = found(/(?:arp_tpa|nd_target)=([^ ,]+)/);
    return address === '' || address.startsWith('fe80') ? [] : [`${address} is ${found(/set_field:([0-9a-f:]+)->(?:arp_sha|eth_dst)/)}`];
  }).sort();
}

/** What of `knows()` a node should. */
function wantedOn(one: EvpnNode, tenant: Tenant, guests: readonly EvpnGuest[]): readonly string[] {
  const others = guests.filter(({ node, participant }) => participant.tenant === tenant.name && node !== one.node);
  return others.flatMap(({ mac, node, participant: { ipv4, ipv6 } }) => [`${mac} at ${node.ipv4}`, `${ipv4} is ${mac}`, `${ipv6} is ${mac}`]).sort();
}

/** Whether the node knows just these of the other nodes; of a tenant without a container here nothing. */
export function isKnownOn(one: EvpnNode, guests: readonly EvpnGuest[]): boolean {
  return differencesOn(one, guests).length === 0;
}

function differencesOn(one: EvpnNode, guests: readonly EvpnGuest[]): readonly string[] {
  return tenants.filter(({ name }) => guests.some(({ node, participant }) => node === one.node && participant.tenant === name)).flatMap((tenant) => {
    const [known, wanted] = [knows(one, tenant.vni), wantedOn(one, tenant, guests)];
    const of = `${one.node.name}, ${tenant.name}`;
    return [...wanted.filter((line) => !known.includes(line)).map((line) => `${of} lacks: ${line}`), ...known.filter((line) => !wanted.includes(line)).map((line) => `${of} has: ${line}`)];
  });
}

/** Waits until each node knows just these. @throws Error with what is missing, or there too much */
export async function expectKnown({ nodes }: EvpnScene, guests: readonly EvpnGuest[]): Promise<void> {
  for (const one of nodes) {
    await eventually(`${one.node.name} knows all endpoints`, () => isKnownOn(one, guests), () => [...differencesOn(one, guests), one.daemon.describe(), one.frr.log('zebra').slice(-1000), one.frr.vtysh('show bgp l2vpn evpn route').slice(-3000)].join('\n'));
  }
}

/** Waits until `weft evpn` finds nothing wrong on the node. @throws Error with its words */
export async function agreed({ node, daemon }: EvpnNode): Promise<void> {
  let said = '';
  await eventually(`BGP, ledger and switch agree on ${node.name}`, async () => {
    const { exitCode, stdout, stderr } = await runWeft(node, ['evpn']);
    said = stdout + stderr;
    if (exitCode !== 0) await delay(restMs);
    return exitCode === 0;
  }, () => `${said}\n${daemon.describe()}`);
}
