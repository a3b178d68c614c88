/** An endpoint that is named, and so the same wherever it is, and what the nodes should know of it. */
import { blue, type Tenant } from '../harness/tenant.ts';
import { attachEvpnGuest, eventually, fdbOf, neighboursOf, type EvpnGuest, type EvpnNode, type EvpnScene } from './scene.ts';

/** What zebra says of a MAC. */
interface KnownMac {
  readonly type?: 'local' | 'remote';
  readonly remoteVtep?: string;
  readonly localSequence?: number;
  readonly remoteSequence?: number;
  readonly isDuplicate?: boolean;
}

/** It is nowhere until it is moved for the first time. */
export class Mover {
  readonly ipv4 = '10.1.1.77';
  readonly ipv6 = 'fd00:1::77';
  readonly #scene: EvpnScene;
  /** The same single address of each family on every node. */
  readonly #tenant: Tenant = { ...blue, extra: { ipam: { type: 'weft', ranges: [[{ subnet: '10.1.1.0/24', rangeStart: this.ipv4, rangeEnd: this.ipv4 }], [{ subnet: 'fd00:1::/64', rangeStart: this.ipv6, rangeEnd: this.ipv6 }]] } } };
  #guest: EvpnGuest | undefined;
  #moves = 0;

  constructor(scene: EvpnScene) {
    this.#scene = scene;
  }

  /** The container it is in. @throws Error where it is in none */
  get guest(): EvpnGuest {
    if (this.#guest === undefined) throw new Error('the endpoint is nowhere');
    return this.#guest;
  }

  /** Takes it away where it is and brings it to the node, in the other order where it is to be made first. @returns when ADD had returned, milliseconds since 1970 */
  async moveTo(node: number, { isMadeFirst = false }: { readonly isMadeFirst?: boolean } = {}): Promise<number> {
    const { lab } = this.#scene;
    const before = this.#guest;
    if (before !== undefined && !isMadeFirst) await lab.detach(before);
    this.#guest = await attachEvpnGuest(lab, this.#tenant, { node, label: `mover${(this.#moves += 1)}`, args: 'WEFT_ENDPOINT=db-0' });
    const movedAt = Date.now();
    if (before !== undefined && isMadeFirst) await lab.detach(before);
    return movedAt;
  }

  /** Waits until every node knows it where it is, and nowhere else. @throws Error with what is wrong where that does not come */
  async settled(): Promise<void> {
    const faults = (): readonly string[] => this.#scene.nodes.flatMap((one) => this.#faultsOn(one));
    await eventually(`everybody knows the endpoint at ${this.guest.node.ipv4}`, () => faults().length === 0, () => faults().join('\n'));
  }

  /** The same of the spare tunnels. */
  async spareSettled(): Promise<void> {
    const faults = (): readonly string[] => this.#scene.nodes.flatMap((one) => this.#placeFaults(one, `weft-sp${blue.vni}`));
    await eventually(`the spare tunnels know the endpoint at ${this.guest.node.ipv4}`, () => faults().length === 0, () => faults().join('\n'));
  }

  /** How often it has moved, as the node says that has it (RFC 7432 §7.7). */
  sequence(one: EvpnNode): number {
    const { type, localSequence = NaN, remoteSequence = NaN } = this.#asKnownBy(one);
    return type === 'local' ? localSequence : remoteSequence;
  }

  #faultsOn(one: EvpnNode): readonly string[] {
    const { node } = one;
    const { node: place, mac } = this.guest;
    const { type = 'nowhere', remoteVtep, isDuplicate = false } = this.#asKnownBy(one);
    const expected = node === place ? 'local' : `remote ${place.ipv4}`;
    const known = type === 'local' ? type : `${type} ${remoteVtep}`;
    const neighbours = neighboursOf(one, `weft-br${blue.vni}`).filter(({ dst }) => dst === this.ipv4 || dst === this.ipv6);
    const isOwn = node === place;
    return [
      ...(known === expected ? [] : [`zebra of ${node.name} knows it as ${known}`]),
      ...(isDuplicate ? [`zebra of ${node.name} takes it for a duplicate`] : []),
      ...this.#placeFaults(one, `weft-vx${blue.vni}`),
      ...(neighbours.length === 2 && neighbours.every(({ lladdr, extern_learn: learnt }) => lladdr === mac && (learnt === undefined) === isOwn) ? [] : [`neighbours of ${node.name}: ${JSON.stringify(neighbours)}`]),
    ];
  }

  /** The node that has it has it at no VTEP, every other one at its VTEP and no other. What the kernel has learnt by itself it also forgets by itself. */
  #placeFaults(one: EvpnNode, link: string): readonly string[] {
    const { node: place, mac } = this.guest;
    const entries = fdbOf(one, link).filter((entry) => entry.mac === mac && entry.dst !== undefined && entry.flags?.includes('extern_learn') === true);
    const expected = one.node === place ? [] : [place.ipv4];
    return entries.map(({ dst }) => dst).join() === expected.join() ? [] : [`${link} of ${one.node.name} has ${JSON.stringify(entries)}`];
  }

  #asKnownBy({ frr }: EvpnNode): KnownMac {
    const { mac } = this.guest;
    const answer = JSON.parse(frr.vtysh(`show evpn mac vni ${blue.vni} mac ${mac} json`)) as Readonly<Record<string, KnownMac>>;
    return answer[mac] ?? {};
  }
}
