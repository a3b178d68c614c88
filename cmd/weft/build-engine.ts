/** The composition root: the only place that names concrete parts together. */
import { readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createEngine } from '../../pkg/attachment/engine.ts';
import { processExecutor } from '../../pkg/cni/delegate-executor.ts';
import type { CniPlugin } from '../../pkg/cni/dispatch.ts';
import { emptyNodeConf, type NodeConf } from '../../pkg/config/node-model.ts';
import { openKernel } from '../../pkg/datapath/kernel.ts';
import { linuxBridgeDatapath } from '../../pkg/datapath/linuxbridge/linuxbridge.ts';
import { WeftError } from '../../pkg/errors/weft-error.ts';
import { currentWorker, readBootId } from '../../pkg/ledger/boot.ts';
import { openLedger, type Ledger } from '../../pkg/ledger/ledger.ts';
import { keepAddonIn } from '../../pkg/sys/koffi.ts';
import type { Places } from './places.ts';

/** The engine over this machine's kernel, ledger and configuration; each is opened when it is first needed. */
export function buildEngine(places: Places): CniPlugin {
  const directories = [places.stateDirectory, places.runDirectory];
  keepAddonIn(directories.map((directory) => join(directory, 'native')));
  const kernel = openKernel();
  let ledger: Ledger | undefined;
  return createEngine({
    kernel,
    datapath: linuxBridgeDatapath(kernel),
    ledger: () => (ledger ??= openLedger({ directory: places.stateDirectory, bootId: readBootId() })),
    nodeConf: () => readNodeConf(places),
    executor: processExecutor,
    worker: currentWorker(),
    pendingDirectories: directories,
    now: Date.now,
    warn,
  });
}

/** stdout belongs to the protocol; runtimes log what a plugin prints on stderr. */
function warn(message: string): void {
  writeSync(2, `weft: ${message}\n`);
}

/** The YAML parser is loaded only where there is something to parse: it takes as long as the whole of an ADD's kernel work. */
async function readNodeConf({ configPath, isConfigRequired }: Places): Promise<NodeConf> {
  let text: string;
  try {
    text = readFileSync(configPath, 'utf8');
  } catch (error) {
    if (!isConfigRequired && error instanceof Error && 'code' in error && error.code === 'ENOENT') return emptyNodeConf;
    throw new WeftError('ioFailure', `Cannot read the node configuration ${configPath}`, { cause: error });
  }
  const { parseNodeConf } = await import('../../pkg/config/node-conf.ts');
  return parseNodeConf(text, configPath);
}
