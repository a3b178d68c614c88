/** What bgpd and zebra know, asked by their sockets. */
import { decodeRoutes, decodeSessions, type BgpSession, type EvpnRoute } from './bgp-tables.ts';
import { tableCommands } from './table-commands.ts';
import type { AskOptions, Vty } from './vty.ts';
import { decodeMacs, decodeNeighbours, decodeVnis, hasBgpd, type ZebraMac, type ZebraNeighbour, type ZebraVni } from './zebra-tables.ts';

/** The sessions that speak EVPN, weft's or not. @throws FrrError as Vty.ask() does, garbled */
export async function readSessions(bgpd: Vty, options: AskOptions): Promise<readonly BgpSession[]> {
  const summary = await ask(bgpd, tableCommands.summary, options);
  return decodeSessions(summary, await ask(bgpd, tableCommands.neighbors, options));
}

/** The EVPN routes of types 2 and 3, every path of each. @throws FrrError as Vty.ask() does, garbled */
export async function readRoutes(bgpd: Vty, options: AskOptions): Promise<readonly EvpnRoute[]> {
  return decodeRoutes(await ask(bgpd, tableCommands.routes, options));
}

/** The EVPN routes of type 3, one for each VNI of each VTEP. @throws FrrError as Vty.ask() does, garbled */
export async function readVtepRoutes(bgpd: Vty, options: AskOptions): Promise<readonly EvpnRoute[]> {
  return decodeRoutes(await ask(bgpd, tableCommands.vtepRoutes, options), tableCommands.vtepRoutes);
}

/** The VNIs that zebra has found in the kernel; none while bgpd does not ask for them. @throws FrrError as Vty.ask() does, garbled */
export async function readVnis(zebra: Vty, options: AskOptions): Promise<readonly ZebraVni[]> {
  return decodeVnis(await ask(zebra, tableCommands.vnis, options));
}

/** The MACs of all VNIs. @throws FrrError as Vty.ask() does, garbled */
export async function readMacs(zebra: Vty, options: AskOptions): Promise<readonly ZebraMac[]> {
  return decodeMacs(await ask(zebra, tableCommands.macs, options));
}

/** The addresses of all VNIs with their MACs. @throws FrrError as Vty.ask() does, garbled */
export async function readNeighbours(zebra: Vty, options: AskOptions): Promise<readonly ZebraNeighbour[]> {
  return decodeNeighbours(await ask(zebra, tableCommands.neighbours, options));
}

/** Whether bgpd is connected to this zebra. @throws FrrError as Vty.ask() does */
export async function isBgpdConnected(zebra: Vty, options: AskOptions): Promise<boolean> {
  return hasBgpd(await ask(zebra, tableCommands.clients, options));
}

/** Where bgpd has no router it answers with a warning and without words. */
function ask(vty: Vty, command: string, options: AskOptions): Promise<string> {
  return vty.ask(command, { ...options, takesWarning: true });
}
