/** The checks of a node, from the underlay up to the containers: each looks, and has what it saw judged. */
import { formatAddress } from '../../netaddr/netaddr.ts';
import { contentOf } from '../../report/node-state.ts';
import { judgeAgreement } from '../agreement.ts';
import { judgeConfiguration } from '../configuration.ts';
import { judgeConflicts } from '../conflicts.ts';
import { judgeDaemon } from '../daemon.ts';
import { judgeFrr } from '../frr.ts';
import { judgeKernel } from '../kernel.ts';
import { judgeOffloads } from '../offloads.ts';
import { judgeOvs } from '../ovs.ts';
import { judgePeers } from '../peers.ts';
import { judgeResources } from '../resources.ts';
import { notSeen, type Check } from '../run.ts';
import { judgeUnderlay } from '../underlay.ts';
import type { Finding } from '../finding.ts';
import { lookAtAgreement } from './agreement.ts';
import { examineEndpoints, examineGuard, examineSegments } from './attached.ts';
import { confOf, lookAtConfiguration } from './configuration.ts';
import { lookAtFrr } from './frr.ts';
import { lookAtKernel } from './kernel.ts';
import { lookAtOffloads, lookAtResources, lookForConflicts } from './others.ts';
import type { Surroundings } from './surroundings.ts';
import { lookAtUnderlay, peersOf } from './underlay.ts';

/** All checks that this node is due. None of them changes anything. */
export function checksOf(surroundings: Surroundings): readonly Check[] {
  const evpn = confOf(surroundings.node)?.controlPlane;
  return [
    { layer: 'kernel', what: 'the privileges of this process', show: 'id', look: () => examinePrivileges(surroundings) },
    { layer: 'kernel', what: 'the kernel', show: 'uname -r', look: () => judgeKernel(lookAtKernel(surroundings)) },
    { layer: 'configuration', what: 'the configuration', show: 'ls /etc/weft /etc/cni/net.d', look: async () => judgeConfiguration(await lookAtConfiguration(surroundings)) },
    { layer: 'daemon', what: 'the daemon', show: 'systemctl status weft', look: () => examineDaemon(surroundings) },
    { layer: 'underlay', what: 'the underlay', show: 'ip link show; ip route show', look: () => judgeUnderlay(lookAtUnderlay(surroundings)) },
    { layer: 'peers', what: 'the paths to the peers', show: 'journalctl -u weft -n 50', look: () => examinePeers(surroundings) },
    { layer: 'agreement', what: 'what configuration and ledger say of tenants', show: 'ip -d link show type vxlan', look: () => judgeAgreement(lookAtAgreement(surroundings)) },
    { layer: 'segment', what: "the tenants' segments", show: 'ip -d link show', look: () => examineSegments(surroundings) },
    { layer: 'segment', what: 'the guard', show: 'nft list ruleset', look: () => examineGuard(surroundings) },
    { layer: 'endpoint', what: 'the containers', show: 'ip link show', look: () => examineEndpoints(surroundings) },
    ...(evpn?.type === 'evpn' ? [{ layer: 'frr' as const, what: 'FRR', show: "vtysh -c 'show bgp l2vpn evpn summary'", look: async () => judgeFrr(await lookAtFrr(evpn, surroundings)) }] : []),
    ...ovsChecks(surroundings),
    { layer: 'conflict', what: 'who else has VNIs and ports', show: 'ip -d link show type vxlan; ss -uln', look: () => judgeConflicts(lookForConflicts(surroundings)) },
    { layer: 'offload', what: 'the offloads of the underlay', show: 'ip link show', look: () => lookAtOffloads(surroundings).flatMap(judgeOffloads) },
    { layer: 'resource', what: 'disk and tables', show: 'df -h', look: () => judgeResources(lookAtResources(surroundings)) },
  ];
}

/** Said once, instead of as a fault of everything that root alone may see. */
function examinePrivileges({ isRoot }: Surroundings): readonly Finding[] {
  if (isRoot) return [];
  return [notSeen({ layer: 'kernel', what: 'the ledger, the guard and the inside of containers', show: 'id' }, 'needs root, and this process is not: whatever is said below is said without them')];
}

function examineDaemon({ daemon, socket, version, node, isRoot }: Surroundings): readonly Finding[] {
  if (!isRoot && daemon.kind === 'faulty') return [notSeen({ layer: 'daemon', what: 'the daemon', show: `ls -ld ${socket}` }, `needs root: ${daemon.problem}`)];
  const conf = confOf(node);
  const needs = [...(conf?.controlPlane?.type === 'evpn' ? ['controlPlane.type "evpn"'] : []), ...(conf?.migration === undefined ? [] : ['migration']), ...(conf?.metrics === undefined ? [] : ['metrics'])];
  return judgeDaemon({ state: daemon, socket, needs, version, now: node.now });
}

function examinePeers({ node, daemon }: Surroundings): readonly Finding[] {
  return judgePeers({ peers: peersOf(contentOf(node).segments.map(({ segment }) => segment)).map(formatAddress), report: daemon.kind === 'running' ? daemon.status.paths : undefined });
}

function ovsChecks({ ovs }: Surroundings): readonly Check[] {
  if (ovs === undefined) return [];
  const { tools, findObstacle } = ovs;
  return [{ layer: 'ovs', what: 'Open vSwitch', show: 'ovs-vsctl show', look: async () => judgeOvs({ tools, obstacle: await findObstacle() }) }];
}
