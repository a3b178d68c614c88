/** The tables of the integration bridge and the priorities in them. What goes from where to where is drawn in flows.ts. */

export const tables = {
  /** Who sends: which tenant's, and a container only as itself. */
  source: 0,
  /** Neighbour discovery of a container, whose source address has been found to be its own. */
  discovery: 1,
  /** Whether a port that waits for its machine has been opened by it: looked into from the tables above. Empty for all others. */
  gate: 2,
  /** From containers: through the limit that their tenant has, if it has one. */
  limit: 3,
  /** Out of that limit: whose it is. Empty for tenants without. */
  limited: 4,
  /** From the tunnel: which VTEP a MAC is at. */
  learning: 5,
  /** From this node: questions for known addresses. */
  neighbours: 10,
  /** From the tunnel: questions for addresses of this node. */
  arrivals: 15,
  /** Who receives, on this node. */
  local: 20,
  /** What goes to a tenant's gateway, and so into the host's IP stack. */
  host: 25,
  /** Who receives, elsewhere. */
  remote: 30,
} as const;

/** Priorities, by table; the higher wins. */
export const priorities = {
  source: { reserved: 300, gatewayLie: 210, trusted: 200, opening: 150, open: 140, discovery: 130, otherDiscovery: 120, own: 100 },
  discovery: { malformed: 20, opening: 15, own: 10 },
  gate: { opened: 10 },
  limit: { detour: 10, other: 0 },
  limited: { own: 10 },
  learning: { learned: 10, other: 0 },
  neighbours: { owner: 70, local: 60, remote: 50, other: 0 },
  arrivals: { local: 60, other: 0 },
  local: { relayed: 55, known: 50, opened: 45, group: 40, other: 0 },
  host: { tunnelInTunnel: 20, deliver: 10 },
  remote: { splitHorizon: 100, programmed: 60, learned: 50, unknown: 10 },
} as const;
