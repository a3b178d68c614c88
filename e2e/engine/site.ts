/** Where these tests play: one node, and one tenant's network on it. */
import { run } from '../../pkg/testing/command.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { findLink } from '../../pkg/testing/observe.ts';
import type { Attach, DatapathName, LabNode } from '../harness/lab-node.ts';
import { createLabOf, type Attached, type Lab } from '../harness/lab.ts';
import { netConf, type NetConf, type RangeConf } from '../harness/net-conf.ts';

export interface Site {
  readonly lab: Lab;
  readonly node: LabNode;
  /** The network of tenant blue. */
  readonly conf: NetConf;
}

export interface SiteOptions {
  /** Tenant blue's only set of ranges. @default ten addresses, 10.1.1.10 to 10.1.1.19 */
  readonly range?: RangeConf;
  /** Keys to add to blue's configuration or to put in the place of the usual ones. */
  readonly extra?: NetConf;
  /** The plugin to call. @default the executable under test */
  readonly executable?: string;
  /** What wires tenants on the node. @default 'bridge' */
  readonly datapath?: DatapathName;
}

const tenRange: RangeConf = { subnet: '10.1.1.0/24', rangeStart: '10.1.1.10', rangeEnd: '10.1.1.19' };
export const blueVni = 1001;
/** A VTEP that is configured and of which nothing is ever heard. */
export const peer = '10.200.0.12';

/** A site that goes away with the scope. IPv4 only: nothing has to wait for duplicate address detection. */
export async function createSite(scope: TeardownScope, { range = tenRange, extra = {}, executable, datapath = 'bridge' }: SiteOptions = {}): Promise<Site> {
  const lab = await createLabOf(scope, [datapath], executable === undefined ? {} : { executable });
  const node = lab.node(1);
  return { lab, node, conf: netConf({ name: 'blue', vni: blueVni, vtep: node.ipv4, peers: [peer], ranges: [[range]], extra }) };
}

/** A container that is not attached yet, for calls of a test's own. */
export function newcomer({ lab, conf }: Site, label: string, options: Partial<Attach> = {}): Attach & { readonly netns: string } {
  return { conf, containerId: label, netns: lab.container(label), ...options };
}

/** A range of just these addresses, which must follow each other. */
export function rangeOf(first: string, last: string = first): RangeConf {
  return { subnet: '10.1.1.0/24', rangeStart: first, rangeEnd: last };
}

/** The addresses that a result gives, without their prefix lengths. */
export function addressesOf({ result }: Pick<Attached, 'result'> | { readonly result?: Attached['result'] }): readonly string[] {
  return (result?.ips ?? []).map(({ address }) => address.replace(/\/.*/, ''));
}

/** The MAC that a result gives the container's interface. */
export function macOf({ result }: { readonly result?: Attached['result'] }): string | undefined {
  return result?.interfaces?.find(({ sandbox }) => sandbox !== undefined && sandbox !== '')?.mac;
}

/** The host's end of an attachment, as its result names it. */
export function hostIfOf({ result }: { readonly result?: Attached['result'] }): string {
  const name = result?.interfaces?.find((entry) => entry.name.startsWith('weft-p'))?.name;
  if (name === undefined) throw new Error('the result names no host interface');
  return name;
}

/** Whether the host's end of an attachment is there. */
export function hasHostIf(node: LabNode, attached: { readonly result?: Attached['result'] }): boolean {
  return findLink(node.netns, hostIfOf(attached)) !== undefined;
}

/**
 * The end of a container that nobody detached. The kernel takes a namespace apart some time after its last user has gone;
 * the link is deleted first, so that what follows finds the end state and not the way there.
 */
export function endContainer(netns: string): void {
  run('ip', ['-n', netns, 'link', 'del', 'eth0']);
  run('ip', ['netns', 'del', netns]);
}
