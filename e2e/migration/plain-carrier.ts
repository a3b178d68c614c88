/**
 * The kernel alone carries the machine: bridges and VXLAN devices that flood and learn, made with `ip` and `bridge`. For comparison; and with the
 * relay of a lab, to see what the mover sees where next to nothing is lost.
 */
import { run, runIn } from '../../pkg/testing/command.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { readLinks } from '../../pkg/testing/observe.ts';
import { createLab, type Lab } from '../harness/lab.ts';
import { furnish, type Berth, type Carrier, type MachineKind, type Sender } from './carrier.ts';
import type { Party, Trigger } from './mover.ts';

const machine: Party = { name: 'machine', ipv4: '10.1.1.77', ipv6: 'fd00:1::77', mac: '02:00:5e:4d:00:01' };
const floodMac = '00:00:00:00:00:00';
/** VXLAN over IPv4 takes 50 bytes (RFC 7348 §5). */
const mtu = 1450;

export interface PlainOptions {
  /** Whether the source relays and the target waits behind a gate that the machine opens; otherwise nothing is done for the move. */
  readonly hasRelay: boolean;
}

/** Three nodes and a sender on each. */
export function createPlainCarrier(scope: TeardownScope, options: PlainOptions): PlainCarrier {
  const lab = createLab(scope, { nodes: 3 });
  for (const [index, { netns, ipv4 }] of lab.nodes.entries()) {
    ip(netns, 'link add br1 type bridge mcast_snooping 0 forward_delay 0', `link set br1 mtu ${mtu} up`);
    ip(netns, `link add vx1 mtu ${mtu} type vxlan id 1001 local ${ipv4} dstport 4789`, 'link set vx1 master br1 up');
    for (const peer of lab.peersOf(index + 1)) run('bridge', ['-n', netns, 'fdb', 'append', floodMac, 'dev', 'vx1', 'dst', peer]);
  }
  return new PlainCarrier(lab, options);
}

/** The carrier. The machine has IPv4 only where nothing is to be said for it: its kernel would join groups of IPv6, and be heard. */
export class PlainCarrier implements Carrier {
  readonly senders: readonly Sender[];
  readonly machine: Party = machine;
  readonly isCold: boolean;
  readonly #lab: Lab;
  #made = 0;

  constructor(lab: Lab, { hasRelay }: PlainOptions) {
    this.#lab = lab;
    this.isCold = !hasRelay;
    this.senders = lab.nodes.map((_, index): Sender => {
      const node = index + 1;
      const party: Party = { name: `sender${node}`, ipv4: `10.1.1.${node}0`, ipv6: `fd00:1::${node}0`, mac: `02:00:5e:4d:01:0${node}` };
      return { ...party, node, netns: this.#connect(node, party) };
    });
  }

  async begin(node: number, kind: MachineKind): Promise<Berth> {
    return { node, netns: this.#berth(node, kind) };
  }

  async prepare(node: number, kind: MachineKind): Promise<Berth> {
    const netns = this.#berth(node, kind);
    if (!this.isCold) this.#startRelay(node);
    return { node, netns };
  }

  activation(): Trigger {
    throw new Error('nobody is told of a stop here');
  }

  async completed(from: Berth): Promise<void> {
    if (this.isCold) return;
    const { netns } = this.#lab.node(from.node);
    runIn(netns, 'nft', 'delete table netdev relay');
    ip(netns, 'link del vxm');
  }

  async remove({ node, netns }: Berth): Promise<void> {
    ip(this.#lab.node(node).netns, 'link del machine');
    run('ip', ['netns', 'del', netns]);
  }

  #berth(node: number, kind: MachineKind): string {
    const netns = this.#connect(node, machine);
    furnish(netns, kind);
    return netns;
  }

  /** A copy of what comes to the source for the machine goes to the target, whose bridge takes the machine to be where the copy comes from. */
  #startRelay(to: number): void {
    const from = this.#lab.nodes.findIndex(({ netns }, index) => index + 1 !== to && readLinks(netns).some(({ ifname }) => ifname === 'machine')) + 1;
    const [source, target] = [this.#lab.node(from), this.#lab.node(to)];
    run('bridge', ['-n', target.netns, 'link', 'set', 'dev', 'machine', 'flood', 'off', 'mcast_flood', 'off', 'bcast_flood', 'off']);
    run('bridge', ['-n', target.netns, 'fdb', 'replace', machine.mac, 'dev', 'vx1', 'master', 'extern_learn', 'dynamic']);
    ip(source.netns, `link add vxm mtu ${mtu} type vxlan id 1001 local ${source.ipv4} dstport 14789 nolearning`, 'link set vxm addrgenmode none up');
    run('bridge', ['-n', source.netns, 'fdb', 'append', floodMac, 'dev', 'vxm', 'dst', target.ipv4, 'port', '4789', 'self']);
    runIn(source.netns, 'nft', [
      'add table netdev relay',
      'add chain netdev relay i { type filter hook ingress device vx1 priority 0; }',
      `add rule netdev relay i ether daddr ${machine.mac} meta mark set 0x77 dup to vxm`,
      'add chain netdev relay o { type filter hook egress device machine priority 0; }',
      `add rule netdev relay o ether daddr ${machine.mac} meta mark != 0x77 dup to vxm`,
    ].join('; '));
  }

  /** A container at the node's bridge, by a link that is called as its owner. */
  #connect(number: number, { name, ipv4, ipv6, mac }: Party): string {
    const { netns: node } = this.#lab.node(number);
    const netns = this.#lab.container(`${name}-${(this.#made += 1)}`);
    if (this.isCold) runIn(netns, 'sh', '-c', 'for which in all default; do echo 1 >/proc/sys/net/ipv6/conf/$which/disable_ipv6; done');
    ip(node, `link add ${name} mtu ${mtu} type veth peer name eth0 mtu ${mtu} address ${mac} netns ${netns}`);
    // What its kernel says of itself would open the gate.
    runIn(node, 'nft', `add table netdev quiet; add chain netdev quiet ${name} { type filter hook ingress device ${name} priority 0; }; add rule netdev quiet ${name} ip6 daddr ff02::16 drop`);
    ip(node, `link set ${name} master br1 up`);
    ip(netns, 'link set lo up', 'link set eth0 addrgenmode none', 'link set eth0 up', `addr add ${ipv4}/24 dev eth0`);
    if (!this.isCold) ip(netns, `addr add ${ipv6}/64 dev eth0 nodad`);
    return netns;
  }
}

function ip(netns: string, ...lines: readonly string[]): void {
  for (const line of lines) run('ip', ['-n', netns, ...line.split(' ')]);
}
