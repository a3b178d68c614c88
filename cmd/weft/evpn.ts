/** `weft evpn`. */
import { askFrr, viewTenants } from '../../pkg/evpn/look.ts';
import { reportEvpn, type TenantView } from '../../pkg/evpn/view.ts';
import { renderEvpn } from '../../pkg/report/evpn.ts';
import type { NodeState } from '../../pkg/report/node-state.ts';
import { buildDatapath, openSwitchOf } from './build-datapath.ts';
import { openKernelIn } from './build-engine.ts';
import { observeDaemon, observeNode } from './node-view.ts';
import { printNote, printReport, reportFailures, type OutputOptions } from './output.ts';
import { findPlaces, type Places } from './places.ts';
import { showWaiting } from './progress.ts';

/** Examples for the command's help. */
export const evpnExamples = `
Exit status: 0 when BGP, ledger and kernel agree, 1 when something needs attention (the first lines say what), 2 for wrong usage.

Examples:
  weft evpn
  weft evpn -o json | jq '.endpoints[] | select(.vtep == "192.0.2.2")'
`;

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
    showWaiting('waiting for FRR and the daemon', options);
    const { frr, problem } = await askFrr(conf);
    const report = reportEvpn({ conf, frr, faults: [...(problem === undefined ? [] : [problem]), ...(await faultsOfDaemon(places))], tenants: await viewHere(places, node) });
    printReport({ value: report, render: () => renderEvpn(report) }, options);
    if (report.faults.length + report.disagreements.length > 0) process.exitCode = 1;
  });
}

/** What keeps running finds more than one look. */
async function faultsOfDaemon(places: Places): Promise<readonly string[]> {
  const daemon = await observeDaemon(places);
  if (daemon.kind === 'running') return [...(daemon.status.controlPlaneFaults ?? []), ...daemon.status.reconciler.openFaults];
  return [`the daemon does not run, and nobody listens to FRR${daemon.kind === 'faulty' ? `: ${daemon.problem}` : ''}`];
}

async function viewHere(places: Places, node: NodeState): Promise<readonly TenantView[]> {
  const [kernel, nodeSwitch] = [openKernelIn(places), await openSwitchOf(places)];
  try {
    return await viewTenants(buildDatapath(kernel, nodeSwitch), node);
  } finally {
    await nodeSwitch.ovs.close();
    kernel.close();
  }
}
