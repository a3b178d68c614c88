/**
 * The codes of what the daemon's log says at warn and error: stable, so that alerts and searches can name them. docs/logs.md has an entry for
 * each, with what to do; `make check` compares the two. What `weft doctor` finds as well has the name of its finding. A failed call has the
 * number of its error instead (pkg/errors/catalogue.ts).
 */
export interface LogCodeEntry {
  readonly level: 'warn' | 'error';
  /** What is so, as docs/logs.md has it. */
  readonly title: string;
}

export const logCodes = {
  'add-abandoned': { level: 'warn', title: 'the caller of an ADD was gone when it was done: it is taken back' },
  'add-undo-failed': { level: 'warn', title: 'an ADD failed, and taking back what it had made failed as well' },
  'background-failed': { level: 'warn', title: 'work that was left for after the answer of a call failed' },
  'daemon-configuration': { level: 'error', title: 'the daemon has refused `weft.yaml` as it is; the one before stays in force' },
  'daemon-fault': { level: 'warn', title: 'something is wrong that the daemon cannot put right' },
  'daemon-start': { level: 'error', title: 'the daemon cannot start' },
  'config-unwatched': { level: 'warn', title: 'the file of the node configuration is no longer watched' },
  'del-interface-left': { level: 'warn', title: 'the interface of a container whose DEL is postponed could not be removed' },
  'del-postponed': { level: 'warn', title: 'the ledger could not be written: the DEL is written down for later' },
  'events-lost': { level: 'warn', title: 'the kernel sent more events than could be kept: the whole node is looked at' },
  'evpn-compare-failed': { level: 'warn', title: 'the remote endpoints could not be compared with BGP' },
  'evpn-peer-late': { level: 'warn', title: 'a VTEP that BGP tells of could not be taken for a peer at once' },
  'evpn-retained': { level: 'warn', title: 'BGP does not tell of a VTEP any more: what was there is kept for `retainSeconds`' },
  'frr-fault': { level: 'warn', title: 'BGP EVPN does not work as it should' },
  'frr-leftover': { level: 'warn', title: 'what weft had configured in FRR could not be taken back' },
  'frr-unanswered': { level: 'warn', title: 'FRR could not be asked what it knows' },
  'garbage-removed': { level: 'warn', title: 'a GC removed something of weft that belonged to no attachment' },
  'guard-mended': { level: 'warn', title: 'a GC made the guard between tenants anew' },
  'ipam-del-failed': { level: 'warn', title: 'the delegated IPAM plugin failed the DEL of a container that weft does not know' },
  'ipam-leak': { level: 'warn', title: 'the delegated IPAM plugin did not take back an address' },
  'kernel-deaf': { level: 'error', title: 'the kernel can no longer be listened to: the daemon stops' },
  'ledger-checkpoint': { level: 'warn', title: 'the ledger could not be written to its file: it grows until it can' },
  'links-unread': { level: 'warn', title: 'the links of the node could not be read' },
  'metrics-blind': { level: 'warn', title: 'something that the metrics are read from could not be read' },
  'metrics-fault': { level: 'error', title: 'the end that answers scrapes has failed' },
  'metrics-port': { level: 'error', title: 'the address and port of `metrics.listen` cannot be had' },
  'metrics-server': { level: 'warn', title: 'the end that answers scrapes has met a fault' },
  'metrics-untold': { level: 'warn', title: 'a scrape was answered with 500: the metrics could not be put together' },
  'migration-channel': { level: 'error', title: 'the channel to the other nodes cannot be opened: no endpoint comes or goes' },
  'migration-refused': { level: 'warn', title: 'connections to the migration channel were closed: their callers are not known, or too many' },
  'migration-silent': { level: 'warn', title: 'the other node of a migration does not answer' },
  'migration-stuck': { level: 'warn', title: 'a migration cannot go on' },
  'migration-unasked': { level: 'warn', title: 'a node could not be asked whether it has an endpoint' },
  'mtu-misfit': { level: 'warn', title: 'a configured `mtu` does not fit through the tunnel, and `mtuPolicy` is warn: a smaller one is used' },
  'notify-failed': { level: 'warn', title: 'systemd could not be told the state of the daemon' },
  'offload-found': { level: 'warn', title: 'checksums or segments that are left to devices arrive spoiled, or that cannot be told' },
  'offload-healed': { level: 'warn', title: 'what devices spoil is done by the kernel from now on' },
  'offload-memory': { level: 'warn', title: 'what is turned off cannot be read from, or written to, the state directory' },
  'offload-stuck': { level: 'warn', title: 'an offload cannot be turned off on a device' },
  'offload-untested': { level: 'warn', title: 'offloads cannot be tested' },
  'pass-failed': { level: 'error', title: 'the node could not be compared with the ledger' },
  'path-memory': { level: 'warn', title: 'what is known of the paths cannot be read from, or written to, the state directory' },
  'path-narrow': { level: 'warn', title: 'the path to a peer carries less than links and routes say' },
  'path-port': { level: 'warn', title: 'the UDP port of the path probes cannot be had' },
  'path-wide': { level: 'warn', title: 'the path to a peer carries full-size packets again' },
  'pending-failed': { level: 'warn', title: 'a DEL that was written down for later failed again' },
  'pending-unreadable': { level: 'warn', title: 'a DEL that was written down for later cannot be read' },
  'probe-tunnels': { level: 'warn', title: 'the tunnels for probes are not as they should be' },
  repaired: { level: 'warn', title: 'something that was not as the ledger says was put right' },
  'segment-left': { level: 'warn', title: 'the links of a tenant whose last container has gone could not be removed' },
  'socket-crowded': { level: 'warn', title: 'too many connections are open: further callers were closed on' },
  'socket-fault': { level: 'error', title: 'accepting or serving a connection failed' },
  'takeover-refused': { level: 'warn', title: 'the daemon that was running before does not make way' },
  'takeover-stranger': { level: 'warn', title: 'what had the name of the socket is no daemon of this weft: it is replaced' },
} as const;

/** A code that is said at that level. */
export type LogCode<Level extends 'warn' | 'error' = 'warn'> = { [Code in keyof typeof logCodes]: (typeof logCodes)[Code]['level'] extends Level ? Code : never }[keyof typeof logCodes];

/** The catalogue by name, for code that walks over all of it. */
export const logCodeEntries: Readonly<Record<string, LogCodeEntry>> = logCodes;
