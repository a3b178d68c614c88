/**
 * Flows as `ovs-ofctl` writes and reads them, for what is measured on Open vSwitch. How weft's cookies and flows are made is fixed by tests
 * of its own; that they are here as they are there is noticed when a run finds none. Pure.
 */

/** The tenant that is measured, as cookies and matches have it. */
export const tenantVni = 1001;
const vniDigits = tenantVni.toString(16);
const tenantCookie = 0x776566n << 40n | BigInt(tenantVni) << 16n;
/** The filter of everything the tenant has on the bridge. */
export const tenantFlows: string = `cookie=${hex(tenantCookie)}/0xffffffffffff0000`;
const remotesCookie = hex(tenantCookie | 0xffffn);
/** The filter of endpoints elsewhere. */
export const remoteEndpointFlows: string = `cookie=${remotesCookie}/-1`;
/** Above it a cookie says other things than a port's number. */
const ofportMax = 0xfeffn;

function hex(number: bigint): string {
  return `0x${number.toString(16)}`;
}

/** The flows of the tenant's one port, from the text of all its flows. @throws RangeError when there is none, or another one */
export function flowsOfOnlyPort(dump: string): { readonly ofport: number; readonly lines: readonly string[] } {
  const byPort = new Map<bigint, string[]>();
  for (const line of dump.split('\n')) {
    const low = BigInt(/cookie=(0x[0-9a-f]+)/.exec(line)?.[1] ?? 0) & 0xffffn;
    if (low > 0n && low <= ofportMax) byPort.set(low, [...(byPort.get(low) ?? []), line.trim()]);
  }
  const [only] = byPort;
  if (only === undefined || byPort.size > 1) throw new RangeError(`the tenant must have flows of one port: it has those of ${byPort.size}`);
  return { ofport: Number(only[0]), lines: only[1] };
}

/** The same flows for another port and under another cookie. */
export function replayed(lines: readonly string[], { from, to, cookie }: { readonly from: number; readonly to: number; readonly cookie: string }): string {
  return lines.map((line) => `${line
    .replace(/cookie=0x[0-9a-f]+/, `cookie=${cookie}`)
    .replace(new RegExp(`\\b(in_port=|output:)${from}\\b`, 'g'), `$1${to}`)}\n`).join('');
}

/** The number of the tunnel's port, from the text of all the tenant's flows: what came by it does not leave by it. @throws RangeError */
export function tunnelPortOf(dump: string): number {
  const number = /table=30, priority=100,.*\bin_port=(\d+) actions=drop/.exec(dump)?.[1];
  if (number === undefined) throw new RangeError('the tenant must have a flow that keeps frames of the tunnel from it: there is none');
  return Number(number);
}

/** How many flows an endpoint elsewhere has: questions for its address and its link-local one, and its MAC. */
export const flowsPerRemote = 3;

/** Endpoints elsewhere as a control plane would have them programmed, by numbers from 0 to 32767. */
export function remoteEndpoints(count: number, { tunnel, vtep }: { readonly tunnel: number; readonly vtep: string }): string {
  return Array.from({ length: count }, (_, number) => remoteEndpoint(number, { tunnel, vtep })).join('');
}

function remoteEndpoint(number: number, { tunnel, vtep }: { readonly tunnel: number; readonly vtep: string }): string {
  const [high, low] = [128 + (number >> 8), number & 0xff];
  const [highDigits, lowDigits] = [high, low].map((byte) => byte.toString(16).padStart(2, '0')) as [string, string];
  const mac = `02:77:0a:01:${highDigits}:${lowDigits}`;
  const address = `10.1.${high}.${low}`;
  const linkLocal = `fe80::77:aff:fe01:${highDigits}${lowDigits}`;
  const [cookie, metadata] = [`cookie=${remotesCookie}`, `metadata=0x${vniDigits}`];
  const toVtep = `set_field:${vtep}->tun_dst,output:${tunnel}`;
  const answer = `move:eth_src[]->eth_dst[],set_field:${mac}->eth_src,set_field:2->arp_op,move:arp_sha[]->arp_tha[],move:arp_spa[]->arp_tpa[],set_field:${mac}->arp_sha,set_field:${address}->arp_spa,IN_PORT`;
  return [
    `${cookie}, table=10, priority=50,arp,${metadata},arp_tpa=${address},arp_op=1 actions=${answer}\n`,
    `${cookie}, table=10, priority=50,icmp6,${metadata},dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,icmp_type=135,icmp_code=0,nd_target=${linkLocal} actions=${toVtep}\n`,
    `${cookie}, table=30, priority=60,${metadata},dl_dst=${mac} actions=${toVtep}\n`,
  ].join('');
}
