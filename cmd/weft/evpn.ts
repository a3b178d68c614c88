/** `weft evpn`. */
import type { EvpnConf } from '../../pkg/config/control-plane.ts';
import { describeWithAdvice } from '../../pkg/errors/weft-error.ts';
import { reportEvpn, type FrrView, type TenantView } from '../../pkg/evpn/view.ts';
import { readRoutes, readSessions } from '../../pkg/frr/tables.ts';
import { openVty } from '../../pkg/frr/vty.ts';
import { renderEvpn } from '../../pkg/report/evpn.ts';
import { contentOf, type NodeState } from '../../pkg/report/node-state.ts';
import { buildDatapath, openSwitchOf } from './build-datapath.ts';
import { openKernelIn } from './build-engine.ts';
import { observeDaemon, observeNode } from './node-view.ts';
import { printNote, printReport, reportFailures, type OutputOptions } from './output.ts';
import { findPlaces, type Places } from './places.ts';

/** Examples for the command's help. */
export const evpnExamples = `
Exit status: 0 when BGP, ledger and kernel agree, 1 when something needs attention (the first lines say what), 2 for wrong usage.

Examples:
  weft evpn
  weft evpn -o json | jq '.endpoints[] | select(.vtep == "192.0.2.2")'
`;

const asking = { deadlineMs: 5000 };

/** Prints what BGP EVPN has to do with this node, and where BGP, ledger and kernel disagree. It changes nothing. */
export async function showEvpn(options: OutputOptions): Promise<void> {
  await reportFailures(async () => {
    const places = findPlaces();
    const node = await observeNode(places);
    if (node.configuration.kind === 'invalid') throw new Error(node.configuration.problem);
    const conf = node.configuration.kind === 'valid' ? node.configuration.conf.controlPlane : undefined;
    if (conf?.type !== 'evpn') {
      printNote(`controlPlane.type is not "evpn" in ${node.configurationPath}: this node has its peers from the configuration`);
      process.exitCode = 1;
      return;
    }
    const { frr, problem } = await askFrr(conf);
    const report = reportEvpn({ conf, frr, faults: [...(problem === undefined ? [] : [problem]), ...(await faultsOfDaemon(places))], tenants: await viewTenants(places, node) });
    printReport({ value: report, render: () => renderEvpn(report) }, options);
    if (report.faults.length + report.disagreements.length > 0) process.exitCode = 1;
  });
}

async function askFrr({ runDirectory }: EvpnConf): Promise<{ readonly frr: FrrView | undefined; readonly problem?: string }> {
  try {
    const bgpd = await openVty({ daemon: 'bgpd', runDirectory }, asking);
    try {
      return { frr: { sessions: await readSessions(bgpd, asking), routes: await readRoutes(bgpd, asking) } };
    } finally {
      bgpd.close();
    }
  } catch (error) {
    return { frr: undefined, problem: describeWithAdvice(error) };
  }
}

/** What keeps running finds more than one look. */
async function faultsOfDaemon(places: Places): Promise<readonly string[]> {
  const daemon = await observeDaemon(places);
  if (daemon.kind === 'running') return [...(daemon.status.controlPlaneFaults ?? []), ...daemon.status.reconciler.openFaults];
  return [`the daemon does not run, and nobody listens to FRR${daemon.kind === 'faulty' ? `: ${daemon.problem}` : ''}`];
}

async function viewTenants(places: Places, node: NodeState): Promise<readonly TenantView[]> {
  const { segments, attachments } = contentOf(node);
  const [kernel, nodeSwitch] = [openKernelIn(places), await openSwitchOf(places)];
  try {
    const datapath = buildDatapath(kernel, nodeSwitch);
    return await Promise.all(segments.filter(({ segment }) => segment.controlPlane === 'evpn').map(async ({ vni, segment }) => ({
      segment,
      ports: attachments.filter((record) => record.vni === vni && record.state === 'attached').map(({ port }) => port),
      seen: await datapath.observeRemotes(segment),
    })));
  } finally {
    await nodeSwitch.ovs.close();
    kernel.close();
  }
}
