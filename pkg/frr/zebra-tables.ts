/** What zebra knows of EVPN (zebra/zebra_vxlan.c, zebra_evpn_mac.c, zebra_evpn_neigh.c), out of its JSON. Pure. */
import type { Address, Mac, Vni } from '../netaddr/netaddr.ts';
import { JsonField } from './json-field.ts';
import { tableCommands } from './table-commands.ts';

/** A VNI for which there is a VXLAN device. */
export interface ZebraVni {
  readonly vni: Vni;
  readonly vxlanInterface: string;
  /** The bridge the device is in; absent where it is in none, and then nothing is learned or told. */
  readonly bridge?: string;
  /** This node's end of the tunnel. */
  readonly vtep: Address;
  /** The other VTEPs of the VNI, by BGP's routes of type 3. */
  readonly remoteVteps: readonly Address[];
  /** Own and remote together. */
  readonly macCount: number;
  readonly neighbourCount: number;
}

/** Whose a MAC or an address is; `auto` is a MAC that zebra knows only because an address has it. */
export type ZebraOrigin =
  | { readonly kind: 'own'; readonly interface?: string }
  /** Behind another VTEP; undefined where it is behind an Ethernet segment. */
  | { readonly kind: 'remote'; readonly vtep: Address | undefined }
  | { readonly kind: 'auto' };

/** A MAC of a VNI. */
export interface ZebraMac {
  readonly vni: Vni;
  readonly mac: Mac;
  readonly origin: ZebraOrigin;
  /** Moves too often; while duplicates are looked for, which weft switches off. */
  readonly isDuplicate: boolean;
}

/** An address of a VNI. */
export interface ZebraNeighbour {
  readonly vni: Vni;
  readonly address: Address;
  readonly mac: Mac;
  readonly origin: ZebraOrigin;
  /** False where its MAC is gone. */
  readonly isActive: boolean;
}

/** @throws FrrError garbled */
export function decodeVnis(text: string): readonly ZebraVni[] {
  const answer = JsonField.parse(tableCommands.vnis, text);
  // Those of layer 3 are of VRFs.
  const vnis = (answer?.items() ?? []).filter((field) => !field.get('type').is('L3'));
  return vnis.map((field) => {
    const bridge = field.find('sviInterface')?.text();
    return {
      vni: field.get('vni').vni(),
      vxlanInterface: field.get('vxlanInterface').text(),
      ...(bridge === undefined ? {} : { bridge }),
      vtep: field.get('vtepIp').address(),
      remoteVteps: remoteVtepsOf(field),
      macCount: field.get('numMacs').count(),
      neighbourCount: field.get('numArpNd').count(),
    };
  });
}

/** @throws FrrError garbled */
export function decodeMacs(text: string): readonly ZebraMac[] {
  const vnis = JsonField.parse(tableCommands.macs, text)?.entries() ?? [];
  return vnis.flatMap(([vni, table]) =>
    (table.find('macs')?.entries() ?? []).map(([mac, field]) => ({
      vni: table.keyed(vni).vni(),
      mac: field.keyed(mac).mac(),
      origin: originOf(field),
      isDuplicate: field.find('isDuplicate')?.is(true) ?? false,
    })),
  );
}

/** @throws FrrError garbled */
export function decodeNeighbours(text: string): readonly ZebraNeighbour[] {
  const vnis = JsonField.parse(tableCommands.neighbours, text)?.entries() ?? [];
  return vnis.flatMap(([vni, table]) =>
    // Beside the addresses stand counts.
    table.entries().filter(([, field]) => field.isObject).map(([address, field]) => ({
      vni: table.keyed(vni).vni(),
      address: field.keyed(address).address(),
      mac: field.get('mac').mac(),
      origin: originOf(field),
      isActive: field.get('state').is('active'),
    })),
  );
}

/** Whether bgpd is among zebra's clients, which FRR has as text only (zebra/zserv.c): a row each, the name first. */
export function hasBgpd(text: string): boolean {
  return /^bgp\s/m.test(text);
}

/** FRR 8.4 writes the VTEPs where the name says their number, and nothing where there are none. */
function remoteVtepsOf(field: JsonField): readonly Address[] {
  const lists = [field.find('remoteVteps'), field.find('numRemoteVteps')];
  const list = lists.find((candidate) => candidate?.isArray)?.items() ?? [];
  return list.map((item) => (item.isObject ? item.get('ip') : item).address());
}

function originOf(field: JsonField): ZebraOrigin {
  const type = field.get('type');
  const name = field.find('intf')?.text();
  if (type.is('local')) return { kind: 'own', ...(name === undefined ? {} : { interface: name }) };
  if (type.is('remote')) return { kind: 'remote', vtep: field.find('remoteVtep')?.address() };
  return type.read('"local", "remote" or "auto"', (text) => {
    if (text !== 'auto') throw new SyntaxError(text);
    return { kind: 'auto' };
  });
}
