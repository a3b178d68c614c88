/** A node of the lab: its namespace, its own state, and the CNI calls a runtime would make on it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { netnsPath } from '../../pkg/testing/netns.ts';
import type { OpenVSwitch } from '../../pkg/testing/openvswitch.ts';
import { readLinks, readRoutes, readRuleset, type ObservedLink } from '../../pkg/testing/observe.ts';
import { callPlugin, type CniOutcome, type Verb } from './cni-call.ts';
import type { NetConf } from './net-conf.ts';
import { readSwitch, switchConf, underlayBridge, type SwitchView } from './node-switch.ts';

/** What wires a node's containers, as a network's configuration says it. */
export type DatapathName = 'bridge' | 'ovs';

export interface Attach {
  readonly conf: NetConf;
  readonly containerId: string;
  /** Name of the container's namespace; absent: CNI_NETNS is not set. */
  readonly netns?: string;
  /** @default 'eth0' */
  readonly ifName?: string;
  /** CNI_ARGS. */
  readonly args?: string;
}

export interface RawCall {
  /** The whole of the CNI_* environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}

/** What a node looks like to someone who wants to know whether anything changed. */
export interface NodeSnapshot {
  /** Name and kind of every link. */
  readonly links: readonly string[];
  readonly routes: readonly string[];
  readonly ruleset: string;
  /** Where the node has one. */
  readonly openVSwitch?: SwitchView;
}

export interface LabNodeOptions {
  readonly name: string;
  readonly netns: string;
  /** Addresses on the underlay, without prefix length. */
  readonly ipv4: string;
  readonly ipv6: string;
  /** A directory of the node's own. */
  readonly directory: string;
  readonly executable: string;
  /** Variables for every call. */
  readonly env: Readonly<Record<string, string>>;
}

/** Where the reference plugins live on Debian, for delegated IPAM. */
const pluginPath = '/usr/lib/cni:/opt/cni/bin';

/** A node. Its lifetime is the lab's. */
export class LabNode {
  readonly name: string;
  readonly netns: string;
  readonly ipv4: string;
  readonly ipv6: string;
  /** $WEFT_STATE_DIR of every call. */
  readonly stateDirectory: string;
  /** $WEFT_RUN_DIR: where the node's daemon has its socket. */
  readonly runDirectory: string;
  /** $WEFT_CONFIG. */
  readonly configPath: string;
  /** What every process of weft on this node has in its environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly #executable: string;
  #openVSwitch: OpenVSwitch | undefined;
  #wiring = '';

  constructor({ name, netns, ipv4, ipv6, directory, executable, env }: LabNodeOptions) {
    this.name = name;
    this.netns = netns;
    this.ipv4 = ipv4;
    this.ipv6 = ipv6;
    this.stateDirectory = join(directory, 'state');
    this.#executable = executable;
    this.runDirectory = join(directory, 'run');
    for (const path of [this.stateDirectory, this.runDirectory]) mkdirSync(path, { recursive: true, mode: 0o700 });
    this.configPath = join(directory, 'weft.yaml');
    writeFileSync(this.configPath, `node: ${name}\n`);
    this.env = { PATH: process.env['PATH'] ?? '', ...env, WEFT_STATE_DIR: this.stateDirectory, WEFT_RUN_DIR: this.runDirectory, WEFT_CONFIG: this.configPath };
  }

  /** Leads weft on this node to an Open vSwitch; before its first call. @param settings keys of `ovs`, over those that lead there */
  useSwitch(openVSwitch: OpenVSwitch, settings: Readonly<Record<string, string>> = {}): void {
    this.#openVSwitch = openVSwitch;
    this.#wiring = switchConf(openVSwitch, settings);
    writeFileSync(this.configPath, `node: ${this.name}\n${this.#wiring}`);
  }

  /** The lines of the node's configuration that say what wires its tenants; for a test that writes the rest of it. Empty with Linux bridges. */
  get wiring(): string {
    return this.#wiring;
  }

  /** The node's Open vSwitch. @throws Error where it has none */
  get openVSwitch(): OpenVSwitch {
    if (this.#openVSwitch === undefined) throw new Error(`${this.name} has no Open vSwitch`);
    return this.#openVSwitch;
  }

  /** What wires tenants' containers here. */
  get datapath(): DatapathName {
    return this.#openVSwitch === undefined ? 'bridge' : 'ovs';
  }

  /** The link that has the node's addresses on the underlay. */
  get underlayIf(): string {
    return this.#openVSwitch === undefined ? 'eth0' : underlayBridge;
  }

  /** A call with exactly this CNI environment and stdin. */
  async call({ env, stdin }: RawCall): Promise<CniOutcome> {
    return callPlugin({ nodeNetns: this.netns, executable: this.#executable, env: { ...this.env, ...env }, stdin });
  }

  async add(attach: Attach): Promise<CniOutcome> {
    return this.call({ env: attachEnv('ADD', attach), stdin: JSON.stringify(attach.conf) });
  }

  async del(attach: Attach): Promise<CniOutcome> {
    return this.call({ env: attachEnv('DEL', attach), stdin: JSON.stringify(attach.conf) });
  }

  /** CHECK; the configuration carries ADD's result as `prevResult`. */
  async check(attach: Attach, prevResult: unknown): Promise<CniOutcome> {
    return this.call({ env: attachEnv('CHECK', attach), stdin: JSON.stringify({ ...attach.conf, prevResult }) });
  }

  /** GC that keeps the attachments given; those of another form than the specification's are a test's own doing. */
  async gc(conf: NetConf, valid: readonly { readonly containerID: string; readonly ifname: string }[] | null): Promise<CniOutcome> {
    const stdin = JSON.stringify({ ...conf, cniVersion: '1.1.0', 'cni.dev/valid-attachments': valid });
    return this.call({ env: verbEnv('GC'), stdin });
  }

  async status(conf: NetConf): Promise<CniOutcome> {
    return this.call({ env: verbEnv('STATUS'), stdin: JSON.stringify({ ...conf, cniVersion: '1.1.0' }) });
  }

  /** VERSION as libcni sends it, with dummies where it needs nothing. */
  async version(): Promise<CniOutcome> {
    const env = { ...verbEnv('VERSION'), CNI_CONTAINERID: 'dummy', CNI_NETNS: 'dummy', CNI_IFNAME: 'dummy' };
    return this.call({ env, stdin: JSON.stringify({ cniVersion: '1.0.0' }) });
  }

  snapshot(): NodeSnapshot {
    const links = readLinks(this.netns).map(describeLink).sort();
    const routes = ([4, 6] as const).flatMap((family) => readRoutes(this.netns, family)).map(({ dst, dev }) => `${dst} ${dev ?? ''}`);
    const openVSwitch = this.#openVSwitch === undefined ? {} : { openVSwitch: readSwitch(this.#openVSwitch) };
    return { links, routes: routes.sort(), ruleset: readRuleset(this.netns), ...openVSwitch };
  }
}

/** The CNI environment of a call about one attachment, as containerd sets it. */
export function attachEnv(verb: Verb, { containerId, netns, ifName = 'eth0', args }: Attach): Readonly<Record<string, string>> {
  return {
    ...verbEnv(verb),
    CNI_CONTAINERID: containerId,
    CNI_IFNAME: ifName,
    ...(netns === undefined ? {} : { CNI_NETNS: netnsPath(netns) }),
    ...(args === undefined ? {} : { CNI_ARGS: args }),
  };
}

function verbEnv(verb: Verb): Readonly<Record<string, string>> {
  return { CNI_COMMAND: verb, CNI_PATH: pluginPath };
}

function describeLink({ ifname, linkinfo, mtu, master }: ObservedLink): string {
  return `${ifname} ${linkinfo?.info_kind ?? ''} mtu ${mtu} master ${master ?? '-'}`;
}
