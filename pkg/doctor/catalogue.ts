/** Every finding there is: what comes of it and what to do. docs/doctor.md has the same, with more words; a test compares the two. */
import type { Layer, Severity } from './finding.ts';

/** The names of findings, a line for each layer. */
export type FindingId =
  | 'not-seen'
  | 'kernel-feature' | 'kernel-module' | 'state-unwritable' | 'ledger-unreadable' | 'bridge-netfilter' | 'forward-drop' | 'ipv6-disabled'
  | 'config-invalid' | 'conflist-unreadable' | 'conflist-refused' | 'conflist-order' | 'conflist-none' | 'plugin-missing' | 'executable-missing' | 'executable-version'
  | 'daemon-absent' | 'daemon-needed' | 'daemon-silent' | 'daemon-version' | 'daemon-configuration' | 'daemon-pass-late' | 'daemon-fault'
  | 'vtep-missing' | 'vtep-unknown' | 'underlay-down' | 'underlay-mtu' | 'peer-unroutable' | 'peer-other-link' | 'peer-mtu' | 'reverse-path'
  | 'path-not-probed' | 'path-silent' | 'path-narrow' | 'path-finding'
  | 'vni-shared' | 'vni-differs' | 'plan-refused' | 'plan-behind'
  | 'segment-link' | 'segment-mtu' | 'segment-fdb' | 'segment-gateway' | 'segment-setting' | 'segment-drift' | 'guard-rules' | 'guard-element'
  | 'endpoint-link' | 'endpoint-mtu' | 'endpoint-fdb' | 'endpoint-neighbour' | 'endpoint-limit' | 'endpoint-setting' | 'endpoint-move' | 'endpoint-drift' | 'container-gone' | 'container-link' | 'container-mtu' | 'container-address' | 'container-route'
  | 'frr-down' | 'frr-session' | 'frr-vni' | 'frr-disagreement' | 'frr-fault'
  | 'ovs-down' | 'ovs-flows'
  | 'vxlan-foreign' | 'port-taken'
  | 'offload-trouble' | 'offload-found'
  | 'disk-full' | 'disk-low' | 'ledger-large' | 'conntrack-full' | 'neighbours-full';

/** What all findings of an id share. */
export interface CatalogueEntry {
  readonly layer: Layer;
  readonly severity: Severity;
  /** What comes of it. */
  readonly why: string;
  /** What to do. */
  readonly fix: string;
}

function entry(layer: Layer, severity: Severity, why: string, fix: string): CatalogueEntry {
  return { layer, severity, why, fix };
}

const noDaemonMends = 'the daemon puts it right; where it does not run, start it: systemctl start weft';

/** By id. An id is never used for another thing. */
export const catalogue: Readonly<Record<FindingId, CatalogueEntry>> = {
  // Of the doctor itself.
  'not-seen': entry('kernel', 'note', 'what is wrong there stays unsaid', 'run it again as root, or with what the message names put right'),
  // kernel
  'kernel-feature': entry('kernel', 'error', 'the next ADD that needs it fails', 'load the module or run a kernel that has it'),
  'kernel-module': entry('kernel', 'note', 'the kernel loads it with the first ADD that needs it, unless loading modules is forbidden by then', 'nothing, or load it at boot: a line in /etc/modules-load.d'),
  'state-unwritable': entry('kernel', 'error', 'every ADD and DEL fails: the ledger cannot be written', 'mount the file system read-write, or set WEFT_STATE_DIR to a directory that can be written'),
  'ledger-unreadable': entry('kernel', 'error', 'nobody knows which addresses are taken: every call fails', 'look at what is said of it; a ledger that is beyond repair may be moved away once no container of weft runs'),
  'bridge-netfilter': entry('kernel', 'note', "bridged packets of tenants pass the host's iptables rules, which cost them time and may drop them; weft keeps them out of connection tracking by itself", 'where nothing on the node needs it (kube-proxy does): sysctl -w net.bridge.bridge-nf-call-iptables=0, and -ip6tables'),
  'forward-drop': entry('kernel', 'warning', 'with br_netfilter on, a chain that drops what is forwarded drops what containers of one tenant send to each other on this node', "accept what comes from weft's bridges in that chain (iifname \"weft-br*\" and oifname \"weft-br*\"), or switch bridge-nf-call-iptables off"),
  'ipv6-disabled': entry('kernel', 'error', 'IPv6 addresses are refused: an ADD with them fails', 'sysctl -w net.ipv6.conf.all.disable_ipv6=0, or take the IPv6 addresses out of the configuration'),
  // configuration
  'config-invalid': entry('configuration', 'error', 'every ADD fails, and the daemon keeps the configuration it had', 'correct what is said of it'),
  'conflist-unreadable': entry('configuration', 'error', 'the runtime skips the file, or refuses to start containers', 'correct the JSON'),
  'conflist-refused': entry('configuration', 'error', 'every ADD of this network fails', 'correct what is said of it'),
  'conflist-order': entry('configuration', 'note', 'a runtime that takes the first file of the directory, as containerd does for Kubernetes, uses another plugin', 'nothing where that is meant (Multus); else give the file of weft a name that sorts first'),
  'conflist-none': entry('configuration', 'note', 'no runtime of this node calls weft by itself', 'put one there: conf/10-weft.conflist is an example'),
  'plugin-missing': entry('configuration', 'error', 'the runtime cannot execute the plugin: every ADD fails', 'make install, or copy dist/cni/weft there'),
  'executable-missing': entry('configuration', 'warning', 'while the daemon is away nobody does a call: the launcher has nothing to execute', 'make install, or set WEFT_EXE in the environment of the runtime'),
  'executable-version': entry('configuration', 'warning', 'calls are done in one way with the daemon and in another without', 'install the same version everywhere and restart the daemon: systemctl restart weft'),
  // daemon
  'daemon-absent': entry('daemon', 'warning', 'every call does its work alone, and is slower; what somebody damages stays damaged', 'systemctl start weft'),
  'daemon-needed': entry('daemon', 'error', 'the configuration asks for what only a daemon does', 'systemctl start weft'),
  'daemon-silent': entry('daemon', 'error', 'launchers wait for it in vain before they do the call themselves', 'look at its log (journalctl -u weft) and restart it: no container is harmed'),
  'daemon-version': entry('daemon', 'warning', 'the daemon that answers calls is not the weft that was asked', 'systemctl restart weft: no packet is lost'),
  'daemon-configuration': entry('daemon', 'error', 'what the file says is not in force: the daemon keeps the configuration it had', 'correct the file; the daemon reads it when it changes'),
  'daemon-pass-late': entry('daemon', 'warning', 'what somebody damages is found late or not at all', 'look at its log (journalctl -u weft); SIGHUP asks for a pass'),
  'daemon-fault': entry('daemon', 'error', 'the daemon has tried and cannot put it right', 'do what it says; the daemon tries again with its next pass'),
  // underlay
  'vtep-missing': entry('underlay', 'error', "the tenant's packets have no tunnel: whatever goes to another node is lost", 'give the address back to its interface, or correct vtep in the configuration'),
  'vtep-unknown': entry('underlay', 'error', 'no ADD can know where its tunnel ends', 'set vtep.interface or vtep.address'),
  'underlay-down': entry('underlay', 'error', 'nothing reaches another node', 'set the link up, or plug the cable in'),
  'underlay-mtu': entry('underlay', 'error', "the tenant's full-size packets do not fit through the link: they are fragmented or lost", "raise the link's MTU, or lower mtu of the tenant"),
  'peer-unroutable': entry('underlay', 'error', 'nothing of the tenant reaches the containers of that node', 'give the node a route to the peer, or take the peer out of the configuration'),
  'peer-other-link': entry('underlay', 'note', 'packets to the peer leave by another link than the one with the address they carry; a router, or strict reverse path filtering, may drop them', 'nothing where that is meant; else correct the route, or vtep.interface'),
  'peer-mtu': entry('underlay', 'error', "the route to the peer takes less than the tenant's full-size packets: they are fragmented or lost", "raise the MTU of the route or its link, or lower mtu of the tenant"),
  'reverse-path': entry('underlay', 'error', "the kernel drops the peer's tunnel packets as spoofed: they come by another link than answers would go (RFC 3704)", 'set net.ipv4.conf.<link>.rp_filter and .all.rp_filter to 2 or 0, or put the route right'),
  // peers
  'path-not-probed': entry('peers', 'note', 'whether the peers hear this node, and how large a packet gets there, is not known: links and routes say only what this node believes', 'start the daemon with path probes configured'),
  'path-silent': entry('peers', 'warning', 'the peer has no daemon that answers, or nothing gets there and back: then its containers are not reached', "see that the peer's daemon runs; open the tenants' UDP port and that of the probes between the nodes, in both directions"),
  'path-narrow': entry('peers', 'error', 'full-size packets to the peer are lost on the way, and nobody says so: connections open and then hang', 'raise the MTU of what lies in between, or lower mtu of the tenant on all nodes'),
  'path-finding': entry('peers', 'warning', 'the daemon cannot prove the paths to the peers', 'do what it says'),
  // agreement
  'vni-shared': entry('agreement', 'error', 'two tenants with one VNI would be one network: the second one is refused', 'give each tenant a VNI of its own, the same on all nodes'),
  'vni-differs': entry('agreement', 'error', 'an ADD is refused, and nodes that have the other VNI do not reach the containers here', "make the configuration agree, or remove the tenant's containers from this node first"),
  'plan-refused': entry('agreement', 'error', 'the tenant stays as it was made; the next ADD is refused', 'do what it says'),
  'plan-behind': entry('agreement', 'warning', 'what the configuration says by now is not in force for the tenant on this node', 'start the daemon, which follows the configuration, or attach a container'),
  // segment
  'segment-link': entry('segment', 'error', 'the tenant has no network on this node, or none to the others', noDaemonMends),
  'segment-mtu': entry('segment', 'error', 'packets above that size are dropped without a word', noDaemonMends),
  'segment-fdb': entry('segment', 'error', 'frames for other nodes do not leave, or go to the wrong one', noDaemonMends),
  'segment-gateway': entry('segment', 'error', 'the tenant does not reach its gateway, or nothing through it', noDaemonMends),
  'segment-setting': entry('segment', 'error', 'the bridge treats frames otherwise than weft needs it to', noDaemonMends),
  'segment-drift': entry('segment', 'warning', 'containers have their network all the same', noDaemonMends),
  'guard-rules': entry('segment', 'error', 'the guard between tenants is not the one weft has made: a container may send what it must not', noDaemonMends),
  'guard-element': entry('segment', 'error', 'the guard drops what somebody who is attached sends or gets', noDaemonMends),
  // endpoint
  'endpoint-link': entry('endpoint', 'error', 'the container has no network', noDaemonMends),
  'endpoint-mtu': entry('endpoint', 'error', 'packets above that size are dropped without a word', noDaemonMends),
  'endpoint-fdb': entry('endpoint', 'error', 'the bridge does not know where the container is, or believes somebody else', noDaemonMends),
  'endpoint-neighbour': entry('endpoint', 'error', "BGP is not told of the container's address", noDaemonMends),
  'endpoint-limit': entry('endpoint', 'error', 'the container may send or receive more than it was allowed', noDaemonMends),
  'endpoint-setting': entry('endpoint', 'error', "the host answers for the container, or the bridge treats its port otherwise than weft needs it to", noDaemonMends),
  'endpoint-move': entry('endpoint', 'error', 'frames for the endpoint that moves are lost, or the endpoint is on two nodes', noDaemonMends),
  'endpoint-drift': entry('endpoint', 'warning', 'the container has its network all the same', noDaemonMends),
  'container-gone': entry('endpoint', 'warning', 'its address stays taken until a DEL or a GC comes', 'nothing: the daemon collects it in a while, and so does a GC by the runtime'),
  'container-link': entry('endpoint', 'error', 'the container has no network', 'it is the container’s own, which may have done so: recreate it where it was not meant'),
  'container-mtu': entry('endpoint', 'error', "the container sends larger packets than the tunnel takes, or smaller ones than it could", 'the daemon lowers one that is too large; a smaller one is left, for the container may have chosen it'),
  'container-address': entry('endpoint', 'error', 'nobody reaches the container at the address the ledger keeps for it', noDaemonMends),
  'container-route': entry('endpoint', 'error', 'the container does not reach what the route leads to', noDaemonMends),
  // frr
  'frr-down': entry('frr', 'error', 'no other node is told of this one, and nothing is learned of them', 'systemctl start frr, with bgpd=yes in /etc/frr/daemons; or correct controlPlane.runDirectory'),
  'frr-session': entry('frr', 'error', 'what that neighbour knows of other nodes is not known here, nor there what this node has', 'see what the session lacks: address, AS and password on both sides, TCP port 179 open'),
  'frr-vni': entry('frr', 'error', "the tenant's containers here are told to nobody", 'let zebra see the VXLAN device: it must be up and in its bridge; restart FRR where it stays so'),
  'frr-disagreement': entry('frr', 'warning', 'BGP, ledger and kernel do not say the same of an endpoint: frames for it may go astray', 'wait a moment, for changes spread; what stays is in `weft evpn` with both sides'),
  'frr-fault': entry('frr', 'warning', 'the daemon, which listens to FRR all the time, sees more than one look does', 'do what it says'),
  // ovs
  'ovs-down': entry('ovs', 'error', 'no container of a tenant on Open vSwitch can be attached, and what its restart loses is not sent again', 'systemctl start openvswitch-switch; or correct ovs in the node configuration'),
  'ovs-flows': entry('ovs', 'error', 'what is missing is dropped: ports are closed, not open', noDaemonMends),
  // conflict
  'vxlan-foreign': entry('conflict', 'error', "the kernel gives a VNI on a port to one device: weft's cannot be made or set up beside it", 'delete the device, or give it or the tenant another VNI or port'),
  'port-taken': entry('conflict', 'error', 'somebody else receives what comes on the port: tunnels of the tenant are deaf', "stop it, or give the tenants another vtep.port on all nodes"),
  // offload
  'offload-found': entry('offload', 'warning', 'packets whose checksums or segments were left to the devices on the way do not arrive whole: pings pass and connections hang, unless the daemon has turned that off', 'look at the device, its driver and firmware that the nodes name; docs/offloads.md says what the daemon does and when it takes it back'),
  'offload-trouble': entry('offload', 'warning', 'with this driver the feature is known to send tunnel packets with wrong checksums, or to lose them: pings pass and connections hang', 'switch the feature off where connections between nodes hang, and see whether that helps'),
  // resource
  'disk-full': entry('resource', 'error', 'the ledger cannot grow: the next ADD fails', 'free space on the file system'),
  'disk-low': entry('resource', 'warning', 'when it is full the next ADD fails', 'free space on the file system'),
  'ledger-large': entry('resource', 'warning', 'the ledger waits to be emptied into its file: reading it takes longer with each call', 'see that the daemon runs, which does so when it rests, and who else holds the file open'),
  'conntrack-full': entry('resource', 'warning', "new connections through a tenant's gateway are dropped when the table is full", 'sysctl -w net.netfilter.nf_conntrack_max to twice what is used'),
  'neighbours-full': entry('resource', 'warning', 'above gc_thresh3 the kernel refuses new neighbours: containers that were not spoken to before are not reached', 'raise the net.ipv4.neigh.default.gc_thresh* (weft tune shows what to)'),
};
