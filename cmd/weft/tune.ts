/** `weft tune`. */
import { Option, type Command } from 'commander';
import { findUnderlay } from '../../pkg/datapath/underlay.ts';
import type { Kernel } from '../../pkg/datapath/kernel.ts';
import { lookAtUnderlay, peersOf } from '../../pkg/doctor/look/underlay.ts';
import { decodeLink, listLinks } from '../../pkg/netlink/link.ts';
import { contentOf, type NodeState } from '../../pkg/report/node-state.ts';
import { applyItems, chooseItems } from '../../pkg/tune/apply.ts';
import { lookAtTunables, readSetting, writeSetting, type LinkName } from '../../pkg/tune/look/tunables.ts';
import { planTuning, type TuneItem } from '../../pkg/tune/plan.ts';
import { renderApplied, renderConfiguration, renderTuning } from '../../pkg/tune/report.ts';
import { idOf, type Setting } from '../../pkg/tune/setting.ts';
import { openKernelIn } from './build-engine.ts';
import { observeNode } from './node-view.ts';
import { outputOption, printNote, printReport, reportFailures, type OutputOptions } from './output.ts';
import { findPlaces } from './places.ts';
import { showWaiting } from './progress.ts';

const tuneExamples = `
Without --apply it only shows. What it applies lasts until the next reboot; --print-config prints what would last. docs/tune.md says more.

Exit status: 0 when it was done, 1 when something that was to be applied was refused, 2 for wrong usage.

Examples:
  weft tune
  weft tune -o json | jq -r '.items[] | select(.state == "differs") | .command'
  weft tune --dry-run
  weft tune --apply eth0/tx-udp_tnl-segmentation net.ipv4.fib_multipath_hash_policy
  weft tune --print-config
`;

/** As of commander. */
const wrongUsage = 2;

interface TuneOptions extends OutputOptions {
  /** True: everything that differs. */
  readonly apply?: true | readonly string[];
  readonly dryRun?: true | readonly string[];
  readonly printConfig?: true;
  readonly link?: readonly string[];
}

/** Adds the command. */
export function addTune(program: Command): void {
  program
    .command('tune')
    .description('show what kernel and devices offer for overlay traffic, and, when told, apply it')
    .addOption(outputOption())
    .addOption(new Option('--apply [items...]', 'apply what is recommended: these items, or all that differ'))
    .addOption(new Option('--dry-run [items...]', 'say what --apply would do').conflicts('apply'))
    .addOption(new Option('--print-config', 'print lines for sysctl.d and udev that make it last').conflicts(['apply', 'dryRun']))
    .addOption(new Option('--link <name...>', "the devices to look at (default: those with the VTEPs' addresses)"))
    .addHelpText('after', tuneExamples)
    .action(tuneNode);
}

async function tuneNode(options: TuneOptions): Promise<void> {
  await reportFailures(async () => {
    const places = findPlaces();
    const node = await observeNode(places);
    const kernel = openKernelIn(places);
    try {
      const { segments, attachments } = contentOf(node);
      const links = chooseLinks(kernel, node, options.link);
      const items = planTuning(lookAtTunables(links, attachments.length + peersOf(segments.map(({ segment }) => segment)).length));
      const chosen = options.apply ?? options.dryRun;
      if (options.printConfig === true) process.stdout.write(renderConfiguration(items));
      else if (chosen === undefined) printReport({ value: { items }, render: () => renderTuning(items) }, options);
      else apply(items, chosen === true ? [] : chosen, options);
    } finally {
      kernel.close();
    }
  });
}

function apply(items: readonly TuneItem[], ids: readonly string[], options: TuneOptions): void {
  let chosen: readonly TuneItem[];
  try {
    chosen = chooseItems(items, ids);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    printNote(error.message);
    process.exitCode = wrongUsage;
    return;
  }
  const applied = applyItems(chosen, { read: readSetting, write: (setting, value) => writeVisibly(setting, value, options) }, { isDryRun: options.apply === undefined });
  printReport({ value: { applied }, render: () => renderApplied(applied) }, options);
  if (applied.some(({ outcome }) => outcome === 'refused')) process.exitCode = 1;
}

/** A driver may take seconds for it. */
function writeVisibly(setting: Setting, value: string, options: TuneOptions): void {
  showWaiting(`setting ${idOf(setting)}`, options);
  writeSetting(setting, value);
}

/** Those named; else those of the VTEPs of tenants that are attached; else that of the VTEP the configuration leads to. */
function chooseLinks(kernel: Kernel, node: NodeState, names: readonly string[] | undefined): readonly LinkName[] {
  const all = kernel.route.dump(listLinks()).map(decodeLink);
  if (names !== undefined) {
    return names.map((name) => {
      const found = all.find((link) => link.name === name);
      if (found === undefined) throw new Error(`--link must be an interface of this node: there is no ${name}`);
      return found;
    });
  }
  const carriers = new Map(lookAtUnderlay({ kernel, node }).flatMap(({ link }) => (link === undefined ? [] : [[link.name, link] as const])));
  if (carriers.size > 0) return [...carriers.values()];
  const conf = node.configuration.kind === 'valid' ? node.configuration.conf : undefined;
  const indexes = new Set(findUnderlay(kernel.route, conf?.vtep ?? {}).links.map(({ index }) => index));
  return all.filter(({ index }) => indexes.has(index));
}
