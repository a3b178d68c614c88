/** The scene built for real: two nodes, five containers, a capture and a frame sender in each of them. */
import { startCapture, type Capture } from '../../pkg/testing/capture.ts';
import { runIn } from '../../pkg/testing/command.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { findLink } from '../../pkg/testing/observe.ts';
import { readInterface } from '../harness/container.ts';
import { readAttachment } from '../harness/kernel-view.ts';
import type { DatapathName } from '../harness/lab-node.ts';
import { createLabOf, type Lab } from '../harness/lab.ts';
import { attachGuest, blue, red, type Guest, type Tenant } from '../harness/tenant.ts';
import { openFrameSender, type FrameSender } from './frame-sender.ts';
import { headerMark, linkLocalOf } from './frames.ts';
import { broadcastFrame } from './link-layer-attacks.ts';
import type { Attack, NodeSide, Scene, Station } from './scene.ts';

/** Time for a broadcast to arrive everywhere. Only a fault uses it up. */
const confirmDeadlineMs = 3000;

export interface StageOptions {
  /** What wires the tenants on the attacker's node and on the other. @default Linux bridges */
  readonly datapaths?: readonly [DatapathName, DatapathName];
  /** What the nodes carry both tenants' frames in. @default vxlan */
  readonly encapsulation?: Scene['encapsulation'];
  /** Family of the VTEPs' addresses. @default 4 */
  readonly underlay?: 4 | 6;
  /** Whether the nodes forward between their interfaces. @default false */
  readonly forwarding?: boolean;
  /** Whether both tenants have a gateway on the nodes, with masquerading; their subnets differ then. @default false */
  readonly gateways?: boolean;
}

/** One container of the scene. */
export interface Post {
  readonly station: Station;
  readonly guest: Guest;
  readonly capture: Capture;
  readonly sender: FrameSender;
}

export interface AttackOutcome {
  readonly attack: Attack;
  readonly sent: number;
  /** Frames that reached the other tenant. */
  readonly reachedVictims: number;
  /** Frames that reached members of the attacker's own tenant, and how many members they reached. */
  readonly reachedOwn: number;
  readonly ownMembersReached: number;
  /** Whether some container no longer got its own tenant's broadcasts afterwards. */
  readonly isDisturbed: boolean;
}

export class Stage {
  readonly lab: Lab;
  readonly scene: Scene;
  /** The attacker first, then its two peers, then the two victims. */
  readonly posts: readonly Post[];
  #markers = 0;

  constructor(lab: Lab, scene: Scene, posts: readonly Post[]) {
    this.lab = lab;
    this.scene = scene;
    this.posts = posts;
  }

  get attacker(): Post {
    const [attacker] = this.posts;
    if (attacker === undefined) throw new Error('a stage has an attacker');
    return attacker;
  }

  /** Eight bytes that no other frame of the stage carries. */
  nextMarker(): string {
    this.#markers += 1;
    return `wt${String(this.#markers).padStart(6, '0')}`;
  }

  /**
   * Sends each attack, from the attacker unless another sender is given. After each one, every container broadcasts to its
   * tenant: that shows the network still works, puts right what learning a forged MAC may have moved, and by the time it
   * has arrived, what the attack set off has too. Counts are taken at the very end.
   */
  async run(attacks: readonly Attack[], sender: FrameSender = this.attacker.sender): Promise<readonly AttackOutcome[]> {
    const launched: { readonly attack: Attack; readonly marker: string; readonly sent: number; readonly isDisturbed: boolean }[] = [];
    for (const attack of attacks) {
      const marker = this.nextMarker();
      const sent = await sender.send(attack.frames(marker));
      launched.push({ attack, marker, sent, isDisturbed: !(await this.confirm()) });
    }
    await this.drain();
    return launched.map(({ attack, marker, sent, isDisturbed }) => ({ attack, sent, isDisturbed, ...this.#reached(marker) }));
  }

  /** Whether a broadcast of every container reaches all other members of its tenant. */
  async confirm(): Promise<boolean> {
    const arrivals = await Promise.all(
      this.posts.map(async ({ station, sender }) => {
        const marker = this.nextMarker();
        await sender.send([broadcastFrame(station, marker)]);
        const members = this.posts.filter((post) => post.station.tenant === station.tenant && post.station !== station);
        return Promise.all(members.map(({ capture }) => capture.waitFor(() => capture.count(marker) > 0, confirmDeadlineMs)));
      }),
    );
    return arrivals.flat().every(Boolean);
  }

  /** Waits until every frame that any container got so far is counted. */
  async drain(): Promise<void> {
    await Promise.all(this.posts.map(({ capture }) => capture.drain()));
  }

  #reached(marker: string): Pick<AttackOutcome, 'reachedVictims' | 'reachedOwn' | 'ownMembersReached'> {
    const count = ({ capture, station }: Post): number =>
      sum([marker, headerMark(marker)].map((mark) => capture.count(mark, { exceptFrom: station.mac })));
    const others = this.posts.filter((post) => post !== this.attacker);
    const isOwn = ({ station }: Post): boolean => station.tenant === this.attacker.station.tenant;
    const own = others.filter(isOwn).map(count);
    const victims = others.filter((post) => !isOwn(post)).map(count);
    return { reachedVictims: sum(victims), reachedOwn: sum(own), ownMembersReached: own.filter((frames) => frames > 0).length };
  }
}

/** Builds a stage that goes away with the scope. */
export async function setStage(scope: TeardownScope, { datapaths = ['bridge', 'bridge'], encapsulation = 'vxlan', underlay = 4, forwarding = false, gateways = false }: StageOptions = {}): Promise<Stage> {
  const lab = await createLabOf(scope, [...datapaths, 'bridge']);
  if (forwarding) for (const { netns } of lab.nodes) runIn(netns, 'sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1');
  const extra = { ...(gateways ? { isGateway: true, ipMasq: true } : {}), ...(encapsulation === 'vxlan' ? {} : { encapsulation }) };
  const attackers: Tenant = { ...blue, underlay, extra };
  const victims: Tenant = { ...red, underlay, extra, ...(gateways ? { subnets: { ipv4: '10.2.2.0/24', ipv6: 'fd00:2::/64' } } : {}) };
  const guests = [
    await attachGuest(lab, attackers, 1, { label: 'attacker' }),
    await attachGuest(lab, attackers, 1, { label: 'near' }),
    await attachGuest(lab, attackers, 2, { label: 'far' }),
    // Equal addresses might bring equal MACs; the attacks must tell the tenants apart.
    await attachGuest(lab, victims, 1, { label: 'victim1', args: 'MAC=0a:00:00:00:00:01' }),
    await attachGuest(lab, victims, 2, { label: 'victim2', args: 'MAC=0a:00:00:00:00:02' }),
  ];
  await lab.settle();
  const posts = await Promise.all(guests.map(async (guest) => manPost(scope, guest)));
  return new Stage(lab, describeScene(lab, posts, { underlay, encapsulation }), posts);
}

async function manPost(scope: TeardownScope, guest: Guest): Promise<Post> {
  const { name, tenant, ipv4, ipv6 } = guest.participant;
  const { mac, linkLocal = linkLocalOf(mac) } = readInterface(guest.netns);
  const capture = await startCapture(scope, guest.netns, 'eth0');
  return { station: { name, tenant, mac, ipv4, ipv6, linkLocal }, guest, capture, sender: openFrameSender(scope, guest.netns, 'eth0') };
}

function describeScene(lab: Lab, posts: readonly Post[], { underlay, encapsulation }: Required<Pick<StageOptions, 'underlay' | 'encapsulation'>>): Scene {
  const [attacker, near, far, victim1, victim2] = posts.map(({ station }) => station);
  const [post] = posts;
  if (!attacker || !near || !far || !victim1 || !victim2 || !post) throw new Error('a scene has five stations');
  const node = describeNode(lab, post.guest, { underlay, attacker, victim: victim1 });
  return { attacker, ownPeers: [near, far], victims: [victim1, victim2], ownVni: blue.vni, foreignVni: red.vni, encapsulation, node };
}

function describeNode(lab: Lab, guest: Guest, { underlay, attacker, victim }: { readonly underlay: 4 | 6; readonly attacker: Station; readonly victim: Station }): NodeSide {
  const [node1, node2] = [lab.node(1), lab.node(2)];
  const macOf = (ifName: string): string => findLink(node1.netns, ifName)?.address ?? '06:00:00:00:00:01';
  const gatewayOf = ({ ipv4, ipv6 }: Station): { readonly ipv4: string; readonly ipv6: string } => ({
    ipv4: ipv4.replace(/\.\d+$/, '.1'),
    ipv6: ipv6.replace(/::.*$/, '::1'),
  });
  return {
    ownVtep: underlay === 4 ? node1.ipv4 : node1.ipv6,
    otherVtep: underlay === 4 ? node2.ipv4 : node2.ipv6,
    hostIfMac: macOf(readAttachment(guest).hostIf ?? ''),
    // On a switch: the gateway's interface, where there is one, and the bridge itself.
    bridgeMac: macOf(`weft-br${blue.vni}`),
    vxlanMac: macOf(node1.datapath === 'ovs' ? 'weft-int' : `weft-vx${blue.vni}`),
    uplinkMac: macOf(node1.underlayIf),
    ownGateway: gatewayOf(attacker),
    foreignGateway: gatewayOf(victim),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
