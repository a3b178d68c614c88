/**
 * `make bench`: what weft costs, through launcher and daemon, beside the reference plugins in the same run, and with Open vSwitch beside
 * the same work done by hand. The contenders take turns, so that whatever else the machine does hits them all; only the ratios are worth
 * quoting.
 *
 * WEFT_BENCH_ROUNDS scales the run; WEFT_BIN and WEFT_LAUNCHER name other executables than those in dist/.
 */
import { join } from 'node:path';
import { CleanupStack } from '../../e2e/harness/cleanup-stack.ts';
import { openVSwitchTools } from '../../pkg/testing/openvswitch.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { pluginDirectory } from './contender.ts';
import { makeLab, type Executables } from './lab.ts';
import { measureAll } from './measure.ts';
import { renderReport } from './report.ts';
import { readSettings } from './settings.ts';

const dist = join(import.meta.dirname, '../../dist');
const executables: Executables = {
  weft: process.env['WEFT_BIN'] ?? join(dist, 'weft'),
  launcher: process.env['WEFT_LAUNCHER'] ?? join(dist, 'cni/weft'),
};

await main();

async function main(): Promise<void> {
  const scope = new CleanupStack();
  try {
    const settings = readSettings(process.env['WEFT_BENCH_ROUNDS']);
    requireLab();
    const figures = await measureAll(makeLab(scope, executables), settings, progress);
    progress('everything is removed');
    await scope.run();
    console.log(`\n${renderReport(figures, settings)}`);
  } catch (error) {
    console.error(`The benchmark failed: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
    await scope.run();
  }
}

function requireLab(): void {
  const lack = skipUnless({ root: true, tools: ['ip', 'nft', 'ethtool', ...openVSwitchTools], executables: [executables.weft, executables.launcher, `${pluginDirectory}/bridge`] });
  if (lack !== false) throw new Error(`make bench ${lack}: run make build and scripts/setup.sh bench`);
}

function progress(text: string): void {
  console.log(`${(performance.now() / 1000).toFixed(1).padStart(6)} s  ${text}`);
}
