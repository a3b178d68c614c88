/** Who is where in an attack, as plain values: what the attacks are written against. */

export interface Station {
  readonly name: string;
  readonly tenant: string;
  readonly mac: string;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly linkLocal: string;
}

/** The attacker's node, as it could be known to an attacker. */
export interface NodeSide {
  /** Addresses on the underlay: of the attacker's node and of the other. */
  readonly ownVtep: string;
  readonly otherVtep: string;
  /** MACs of the devices that might take a frame: host interface, bridge, VXLAN device, underlay interface. */
  readonly hostIfMac: string;
  readonly bridgeMac: string;
  readonly vxlanMac: string;
  readonly uplinkMac: string;
  /** The tenants' gateways, whether or not they exist. */
  readonly ownGateway: { readonly ipv4: string; readonly ipv6: string };
  readonly foreignGateway: { readonly ipv4: string; readonly ipv6: string };
}

export interface Scene {
  readonly attacker: Station;
  /** Members of the attacker's tenant: first on the attacker's node, then on the other. */
  readonly ownPeers: readonly [Station, Station];
  /** Members of the other tenant: first on the attacker's node, then on the other. */
  readonly victims: readonly [Station, Station];
  readonly ownVni: number;
  readonly foreignVni: number;
  /** What nodes carry both tenants' frames in. */
  readonly encapsulation: 'vxlan' | 'geneve';
  readonly node: NodeSide;
}

/** One kind of attack. Its frames carry the marker, so that they are found again wherever they come out. */
export interface Attack {
  readonly name: string;
  /** Whether members of the attacker's own tenant may see the frames: true for what harms nobody. */
  readonly mayReachOwn: boolean;
  frames(marker: string): readonly Buffer[];
}
