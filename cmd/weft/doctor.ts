/** `weft doctor`. */
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { placeOf } from '../../pkg/datapath/ovs/switch/settings.ts';
import { checksOf } from '../../pkg/doctor/look/checks.ts';
import type { Surroundings } from '../../pkg/doctor/look/surroundings.ts';
import { renderDoctor, reportExamination } from '../../pkg/doctor/report.ts';
import { examine } from '../../pkg/doctor/run.ts';
import { contentOf } from '../../pkg/report/node-state.ts';
import { buildDatapath, openSwitchOf } from './build-datapath.ts';
import { openKernelIn } from './build-engine.ts';
import { observeDaemon, observeNode, socketPathOf } from './node-view.ts';
import { outputOption, printReport, reportFailures, type OutputOptions } from './output.ts';
import { findPlaces, type Places } from './places.ts';
import { showWaiting } from './progress.ts';
import { version } from './version.ts';

const doctorExamples = `
It changes nothing, works without a daemon, and without root says what it could not see. Each finding is explained in docs/doctor.md.

Exit status: 0 when there is no error (warnings and notes there may be), 1 when there is one, 2 for wrong usage.

Examples:
  weft doctor
  weft doctor -o json | jq -r '.findings[] | select(.severity == "error") | .id'
  weft doctor -o json | jq -r '.findings[0].show' | sh
`;

/** For each check; they run side by side. The node and the daemon have had 2 s each by then. */
const checkMs = 5000;

interface DoctorOptions extends OutputOptions {
  readonly networks: string;
  readonly launcher: string;
  readonly executable?: string;
}

/** Adds the command. */
export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('look for what is wrong with this node, from the underlay up to the containers, and explain it')
    .addOption(outputOption())
    .addOption(new Option('--networks <directory>', 'where runtimes take networks from').default('/etc/cni/net.d'))
    .addOption(new Option('--launcher <path>', 'the plugin that runtimes execute').default('/opt/cni/bin/weft'))
    .addOption(new Option('--executable <path>', 'what the launcher executes where there is no daemon (default: $WEFT_EXE, or "/usr/local/bin/weft")'))
    .addHelpText('after', doctorExamples)
    .action(examineNode);
}

async function examineNode(options: DoctorOptions): Promise<void> {
  await reportFailures(async () => {
    const places = findPlaces();
    const isRoot = process.geteuid?.() === 0;
    showWaiting('waiting for the daemon', options);
    const [node, daemon] = [await observeNode(places), await observeDaemon(places)];
    const [kernel, nodeSwitch] = [openKernelIn(isRoot ? places : withOwnDirectory(places)), await openSwitchOf(places)];
    try {
      const hasOvs = nodeSwitch.isConfigured || contentOf(node).segments.some(({ segment }) => segment.datapath === 'ovs');
      const conf = node.configuration.kind === 'valid' ? node.configuration.conf : undefined;
      const surroundings: Surroundings = {
        node, daemon, socket: socketPathOf(places), stateDirectory: places.stateDirectory, kernel, datapath: buildDatapath(kernel, nodeSwitch),
        ovs: hasOvs ? { tools: placeOf(conf?.ovs ?? {}), findObstacle: () => nodeSwitch.ovs.findObstacle() } : undefined,
        networkDirectory: options.networks, launcher: options.launcher, executable: options.executable ?? places.executable, version, isRoot,
      };
      const examination = await examine(checksOf(surroundings), { deadlineMs: checkMs, onLeft: (left) => showWaiting(`looking at ${left.join(', ')}`, options) });
      const report = reportExamination(examination, { node: conf?.node ?? hostname(), version });
      printReport({ value: report, render: () => renderDoctor(report) }, options);
      if (!report.isWell) process.exitCode = 1;
    } finally {
      await nodeSwitch.ovs.close();
      kernel.close();
    }
  });
}

/** Who is not root cannot have the native addon where root keeps it. */
function withOwnDirectory(places: Places): Places {
  return { ...places, runDirectory: join(tmpdir(), `weft-${process.geteuid?.() ?? 0}`) };
}
