/** `weft endpoints`. */
import { renderEndpoints, reportEndpoints } from '../../pkg/report/endpoints.ts';
import { noteAbsence } from './node-notes.ts';
import { observeNode } from './node-view.ts';
import { printReport, reportFailures, type OutputOptions } from './output.ts';
import { findPlaces } from './places.ts';

/** Examples for the command's help. */
export const endpointsExamples = `
Examples:
  weft endpoints
  weft endpoints --tenant blue
  weft endpoints -o json | jq -r '.[] | select(.pod == "shop/db-0") | .hostInterface'
`;

/** What the command line gives this command. */
export interface EndpointsOptions extends OutputOptions {
  readonly tenant?: string;
}

/** Prints the attachments on this node. It changes nothing. */
export async function showEndpoints(options: EndpointsOptions): Promise<void> {
  await reportFailures(async () => {
    const node = await observeNode(findPlaces());
    noteAbsence(node);
    const endpoints = reportEndpoints(node, options.tenant);
    printReport({ value: endpoints, render: () => renderEndpoints(endpoints, node) }, options);
  });
}
