/**
 * Who may import whom: the architecture as a table. Imports point up in it: a folder may name only folders that stand
 * before it, which a test sees to, and so there are no cycles.
 */
export interface ImportRule {
  /** A folder, with all below it that has no rule of its own; or one file, for what that file imports. */
  readonly path: string;
  /** The other folders of the project it may import. */
  readonly mayImport: readonly string[];
  /** The modules of Node it may import. */
  readonly node: 'any' | readonly string[];
  /** The packages from npm it may import. */
  readonly packages: readonly string[];
  readonly because: string;
}

const ground = ['pkg/errors', 'pkg/digest', 'pkg/netaddr', 'pkg/mtu'] as const;
const kernel = ['pkg/sys', 'pkg/netlink', 'pkg/nftables'] as const;
/** What gives the verbs their meaning; no backend of the datapath is in it. */
const model = ['pkg/cni', 'pkg/overlay', 'pkg/ipam', 'pkg/config', 'pkg/ledger', 'pkg/datapath'] as const;

export const importRules: readonly ImportRule[] = [
  { path: 'pkg/errors', mayImport: [], node: [], packages: [], because: 'everybody reports errors, so it stands on nothing' },
  { path: 'pkg/digest', mayImport: [], node: [], packages: [], because: 'digests are pure, and so quick to load that a name costs nothing' },
  { path: 'pkg/netaddr', mayImport: ['pkg/errors', 'pkg/digest'], node: [], packages: [], because: 'value types are pure' },
  { path: 'pkg/mtu', mayImport: ['pkg/errors', 'pkg/netaddr'], node: [], packages: [], because: 'arithmetic is pure' },
  { path: 'pkg/sys', mayImport: ground, node: 'any', packages: ['koffi'], because: 'it is the way to the operating system' },
  { path: 'pkg/cni', mayImport: ['pkg/errors'], node: [], packages: [], because: 'the CNI specification knows nothing of weft, and its verbs return what is printed' },
  { path: 'pkg/cni/delegate-executor.ts', mayImport: ['pkg/errors'], node: 'any', packages: [], because: 'it is the one place that executes a delegated plugin' },
  { path: 'pkg/protocol', mayImport: ['pkg/errors', 'pkg/cni'], node: [], packages: [], because: 'the wire format is pure: bytes in, requests and answers out' },
  { path: 'pkg/protocol/client.ts', mayImport: ['pkg/errors'], node: ['node:events', 'node:net'], packages: [], because: 'it is the one place that connects to a daemon' },
  { path: 'pkg/netlink', mayImport: [...ground, 'pkg/sys'], node: 'any', packages: [], because: 'netlink knows nothing of CNI or of tenants' },
  { path: 'pkg/nftables', mayImport: [...ground, 'pkg/sys', 'pkg/netlink'], node: 'any', packages: [], because: 'nf_tables is spoken over netlink and knows no tenants' },
  { path: 'pkg/ovsdb', mayImport: ['pkg/errors', 'pkg/sys'], node: ['node:net'], packages: [], because: 'OVSDB knows no tenants' },
  { path: 'pkg/openflow', mayImport: [...ground, 'pkg/sys'], node: ['node:net'], packages: [], because: 'OpenFlow is spoken over a socket and knows no tenants; of the system it needs timers' },
  { path: 'pkg/frr', mayImport: [...ground, 'pkg/sys'], node: ['node:net', 'node:path'], packages: [], because: 'FRR is spoken to over its sockets, and knows no tenants' },
  { path: 'pkg/overlay', mayImport: ground, node: [], packages: [], because: 'the model is pure' },
  { path: 'pkg/ipam', mayImport: [...ground, 'pkg/overlay'], node: [], packages: [], because: 'choosing an address is a pure decision; the ledger remembers it' },
  { path: 'pkg/config', mayImport: [...ground, 'pkg/cni', 'pkg/overlay', 'pkg/ipam'], node: [], packages: ['yaml'], because: 'parsing is pure: text in, typed configuration out' },
  { path: 'pkg/ledger', mayImport: [...ground, 'pkg/sys', 'pkg/overlay'], node: 'any', packages: [], because: 'it keeps what it is given and decides nothing' },
  { path: 'pkg/datapath', mayImport: [...ground, ...kernel, 'pkg/overlay'], node: 'any', packages: [], because: 'the interface stands above every backend' },
  { path: 'pkg/datapath/linuxbridge', mayImport: [...ground, ...kernel, 'pkg/overlay', 'pkg/datapath'], node: 'any', packages: [], because: 'a backend never imports a sibling' },
  { path: 'pkg/datapath/ovs', mayImport: [...ground, ...kernel, 'pkg/openflow', 'pkg/ovsdb', 'pkg/overlay', 'pkg/datapath'], node: 'any', packages: [], because: 'a backend never imports a sibling' },
  { path: 'pkg/report', mayImport: [...ground, 'pkg/cni', 'pkg/overlay', 'pkg/ipam', 'pkg/config', 'pkg/ledger'], node: [], packages: [], because: 'reports are pure: what is known of a node in, rows and text out; the verbs are not its business' },
  { path: 'pkg/log', mayImport: [], node: [], packages: [], because: 'what is said and how it is written are two things' },
  { path: 'pkg/explain', mayImport: [], node: [], packages: [], because: 'the pages in, what they say of a code out' },
  { path: 'pkg/peers', mayImport: [...ground, 'pkg/sys', 'pkg/cni', 'pkg/config', 'pkg/log'], node: ['node:crypto', 'node:fs', 'node:fs/promises', 'node:net', 'node:tls', 'node:util'], packages: [], because: 'it carries words between the daemons of two nodes and knows nothing of what they mean' },
  { path: 'pkg/path', mayImport: [...ground, ...kernel, 'pkg/cni', 'pkg/overlay', 'pkg/config', 'pkg/datapath', 'pkg/report', 'pkg/log'], node: ['node:crypto', 'node:dgram', 'node:fs', 'node:os', 'node:path', 'node:util'], packages: [], because: 'it asks how large a packet reaches a peer, and knows nothing of containers' },
  { path: 'pkg/attachment', mayImport: [...ground, ...kernel, ...model, 'pkg/log'], node: 'any', packages: [], because: 'the verbs see the interface of the datapath, never a backend' },
  { path: 'pkg/reconcile', mayImport: [...ground, ...kernel, ...model, 'pkg/report', 'pkg/log', 'pkg/attachment'], node: [], packages: [], because: 'it compares and repairs by the interface of the datapath, and removes by the code of DEL' },
  { path: 'pkg/evpn', mayImport: [...ground, ...kernel, ...model, 'pkg/frr', 'pkg/report', 'pkg/log', 'pkg/attachment'], node: ['node:util'], packages: [], because: 'it compares what BGP says with the kernel by the interface of the datapath' },
  { path: 'pkg/doctor', mayImport: [...ground, 'pkg/sys', ...model, 'pkg/report', 'pkg/frr', 'pkg/evpn'], node: [], packages: [], because: 'what is known of a node in, findings out: to judge takes no input or output' },
  { path: 'pkg/doctor/look', mayImport: [...ground, ...kernel, ...model, 'pkg/report', 'pkg/log', 'pkg/attachment', 'pkg/reconcile', 'pkg/frr', 'pkg/evpn', 'pkg/doctor'], node: 'any', packages: [], because: 'it looks by the code that the daemon looks by, and changes nothing' },
  { path: 'pkg/tune', mayImport: ['pkg/errors', 'pkg/report'], node: [], packages: [], because: 'what is recommended is a pure decision over what is' },
  { path: 'pkg/tune/look', mayImport: ['pkg/errors', 'pkg/sys', 'pkg/tune'], node: 'any', packages: [], because: 'it is the one place that reads and writes what is tuned' },
  { path: 'pkg/metrics', mayImport: [...ground, 'pkg/sys', 'pkg/cni', 'pkg/overlay', 'pkg/config', 'pkg/report', 'pkg/log'], node: ['node:http', 'node:net'], packages: ['prom-client'], because: 'it counts and publishes what others tell it, and knows nothing of how they know' },
  { path: 'pkg/trace', mayImport: [...ground, ...model, 'pkg/netlink', 'pkg/openflow', 'pkg/report'], node: [], packages: [], because: 'what was seen in, the way of a packet out: to follow it takes no input or output' },
  { path: 'pkg/trace/look', mayImport: [...ground, ...kernel, ...model, 'pkg/openflow', 'pkg/ovsdb', 'pkg/report', 'pkg/trace'], node: 'any', packages: [], because: 'it reads what the kernel really has, and changes nothing' },
  { path: 'pkg/migration', mayImport: [...ground, ...kernel, ...model, 'pkg/report', 'pkg/log', 'pkg/attachment'], node: ['node:crypto'], packages: [], because: 'it follows endpoints between nodes by the interface of the datapath, and speaks through whatever carries its words' },
  { path: 'pkg/install', mayImport: ['pkg/errors', 'pkg/sys', 'pkg/cni', 'pkg/config'], node: ['node:crypto', 'node:fs', 'node:net', 'node:path'], packages: [], because: 'it puts files on a node and takes them away, and knows nothing of what runs there' },
  { path: 'pkg/daemon', mayImport: ['pkg/errors', 'pkg/sys', 'pkg/cni', 'pkg/config', 'pkg/protocol', 'pkg/report', 'pkg/log'], node: 'any', packages: [], because: 'it carries calls to a plugin and knows nothing of what they do' },
  { path: 'cmd', mayImport: [...ground, ...kernel, ...model, 'pkg/datapath/linuxbridge', 'pkg/datapath/ovs', 'pkg/attachment', 'pkg/protocol', 'pkg/report', 'pkg/log', 'pkg/explain', 'pkg/peers', 'pkg/reconcile', 'pkg/frr', 'pkg/evpn', 'pkg/path', 'pkg/migration', 'pkg/doctor', 'pkg/doctor/look', 'pkg/tune', 'pkg/tune/look', 'pkg/metrics', 'pkg/trace', 'pkg/trace/look', 'pkg/install', 'pkg/daemon'], node: 'any', packages: ['commander', 'pino'], because: 'it puts the real parts together' },
  { path: 'pkg/testing', mayImport: [...ground, 'pkg/sys'], node: 'any', packages: [], because: 'tests read the kernel with its own tools, not with the code under test' },
  { path: 'e2e', mayImport: ['pkg/testing'], node: 'any', packages: ['yaml'], because: 'a black box is opened by nobody' },
  { path: 'scripts', mayImport: ['pkg/errors', 'pkg/config', 'pkg/log', 'pkg/testing', 'e2e'], node: 'any', packages: ['esbuild', 'tap-parser', 'typescript', 'yaml'], because: 'tools look at the sources and are never shipped' },
];

/** Names under which everything and nothing can be kept. */
export const bannedFolders: readonly string[] = ['util', 'utils', 'common', 'helper', 'helpers', 'lib', 'misc', 'shared'];
