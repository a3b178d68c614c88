/** A container, as far as the network is concerned: a network namespace. What can be seen and done from inside it. */
import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { inNetns } from '../../pkg/testing/command.ts';
import { findLink, readAddresses } from '../../pkg/testing/observe.ts';

export interface PingOptions {
  /** Bytes of ICMP payload. @default 56 */
  readonly size?: number;
  /** Whether to forbid fragmentation. @default false */
  readonly df?: boolean;
  /** @default 1 */
  readonly count?: number;
  /** Whether the address is a broadcast address. @default false */
  readonly broadcast?: boolean;
  /** Up to 16 bytes that fill the payload, to be found again in captures. */
  readonly marker?: string;
}

/** An attached interface as the container sees it. */
export interface ContainerInterface {
  readonly mac: string;
  /** Bytes. */
  readonly mtu: number;
  /** Global addresses with their prefix length. */
  readonly ipv4: readonly string[];
  readonly ipv6: readonly string[];
  /** The IPv6 link-local address, where there is one. */
  readonly linkLocal?: string;
}

/** Sends echo requests from a namespace. @returns how many were answered; each has one second */
export async function ping(netns: string, address: string, options: PingOptions = {}): Promise<number> {
  const { size = 56, df = false, count = 1, broadcast = false, marker } = options;
  const args = ['-n', '-q', '-c', `${count}`, '-i', '0.05', '-W', '1', '-s', `${size}`, '-M', df ? 'do' : 'dont'];
  if (broadcast) args.push('-b');
  if (marker !== undefined) args.push('-p', Buffer.from(marker).toString('hex'));
  const stdout = await new Promise<string>((resolve) => {
    // ping's exit status is 1 when nothing came back: that is an answer here, not an error.
    execFile('ip', inNetns(netns, 'ping', ...args, address), { timeout: 20_000, killSignal: 'SIGKILL' }, (_error, text) => resolve(text));
  });
  return Number(/(\d+) received/.exec(stdout)?.[1] ?? 0);
}

/** The interface as the kernel shows it. @throws Error when there is none of the name */
export function readInterface(netns: string, ifName = 'eth0'): ContainerInterface {
  const link = findLink(netns, ifName);
  if (link === undefined) throw new Error(`${netns} has no interface ${ifName}`);
  const addresses = readAddresses(netns, ifName);
  const global = (family: string): readonly string[] =>
    addresses.filter((address) => address.family === family && address.scope === 'global').map((address) => `${address.local}/${address.prefixlen}`);
  const linkLocal = addresses.find((address) => address.family === 'inet6' && address.scope === 'link')?.local;
  return { mac: link.address, mtu: link.mtu, ipv4: global('inet'), ipv6: global('inet6'), ...(linkLocal === undefined ? {} : { linkLocal }) };
}

/** Waits until duplicate address detection has ended for every address. @throws Error after ten seconds */
export async function addressesUsable(netns: string, ifName = 'eth0'): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    if (readAddresses(netns, ifName).every((address) => address.tentative !== true)) return;
    await delay(100);
  }
  throw new Error(`an address of ${ifName} in ${netns} stayed tentative`);
}
