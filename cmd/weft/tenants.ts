/** `weft tenants`. */
import { renderTenants, reportTenants } from '../../pkg/report/tenants.ts';
import { noteAbsence } from './node-notes.ts';
import { observeNode } from './node-view.ts';
import { printNote, printReport, reportFailures, type OutputOptions } from './output.ts';
import { findPlaces } from './places.ts';

/** Examples for the command's help. */
export const tenantsExamples = `
A tenant's VTEP, MTU and peers are settled with its first endpoint on the node; before that they are shown as "-".

Examples:
  weft tenants
  weft tenants -o json | jq '.[] | {tenant, vni, endpoints}'
`;

/** Prints the tenants that this node has, or is configured to have. It changes nothing. */
export async function showTenants(options: OutputOptions): Promise<void> {
  await reportFailures(async () => {
    const node = await observeNode(findPlaces());
    noteAbsence(node);
    if (node.configuration.kind === 'invalid') {
      printNote(`the tenants of the node configuration are missing here: ${node.configuration.problem}`);
      process.exitCode = 1;
    }
    const tenants = reportTenants(node);
    printReport({ value: tenants, render: () => renderTenants(tenants) }, options);
  });
}
