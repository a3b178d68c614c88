/** `weft status`. */
import { reportStatus } from '../../pkg/report/status.ts';
import { renderStatus } from '../../pkg/report/status-text.ts';
import { observeDaemon, observeNode, socketPathOf } from './node-view.ts';
import { printReport, reportFailures, type OutputOptions } from './output.ts';
import { findPlaces } from './places.ts';
import { showWaiting } from './progress.ts';
import { version } from './version.ts';

/** Examples for the command's help. */
export const statusExamples = `
Exit status: 0 when all is well, 1 when something needs attention (the first lines say what), 2 for wrong usage.

Examples:
  weft status
  weft status -o json | jq .attention
`;

/** Prints whether the node is well, and what needs attention. It changes nothing. */
export async function showStatus(options: OutputOptions): Promise<void> {
  await reportFailures(async () => {
    const places = findPlaces();
    showWaiting('waiting for the daemon', options);
    const [node, daemon] = [await observeNode(places), await observeDaemon(places)];
    const status = reportStatus({ node, daemon, socket: socketPathOf(places), version });
    printReport({ value: status, render: () => renderStatus(status, node.now) }, options);
    if (!status.isWell) process.exitCode = 1;
  });
}
