/** What is asked for tables. */

/** The commands; a decoder names its own in what it throws. */
export const tableCommands = {
  summary: 'show bgp l2vpn evpn summary json',
  neighbors: 'show bgp neighbors json',
  routes: 'show bgp l2vpn evpn route detail json',
  vtepRoutes: 'show bgp l2vpn evpn route detail type multicast json',
  vnis: 'show evpn vni detail json',
  macs: 'show evpn mac vni all json',
  clients: 'show zebra client summary',
  neighbours: 'show evpn arp-cache vni all json',
} as const;
