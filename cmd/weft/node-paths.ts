/** The daemon's part in proving the paths to other nodes: the ledger says which there are, the kernel how they leave this one. */
import { hostname } from 'node:os';
import type { EngineParts } from '../../pkg/attachment/engine-parts.ts';
import type { NodeConf } from '../../pkg/config/node-model.ts';
import { pathDefaults, type PathConf } from '../../pkg/config/path-conf.ts';
import type { Ledger } from '../../pkg/ledger/ledger.ts';
import type { Log } from '../../pkg/log/log.ts';
import { findEgress } from '../../pkg/path/egress.ts';
import { findingsFileIn } from '../../pkg/path/findings-file.ts';
import type { Path } from '../../pkg/path/findings.ts';
import { Paths } from '../../pkg/path/paths.ts';
import { ProbeEnd } from '../../pkg/path/probe-end.ts';
import type { Prober } from '../../pkg/path/prober.ts';

/** What they work with. */
export interface NodePathsParts {
  readonly engine: Pick<EngineParts, 'kernel' | 'ledger' | 'now'>;
  readonly log: Log;
  readonly stateDirectory: string;
  /** The configuration in force. */
  readonly conf: () => NodeConf;
  /** Asks inside the tunnel; undefined where there is none to the peer. Absent: the underlay alone is asked. */
  readonly tunnelProber?: (path: Path) => Prober | undefined;
  /** The MTUs of tenants are to be reconsidered. */
  readonly onChange: (reason: string) => void;
}

/** What the configuration says of paths. */
export function pathConfOf({ pathProbes }: NodeConf): PathConf {
  return pathProbes ?? pathDefaults;
}

/** One for a daemon; what an earlier one has found is known at once, and follow() begins. */
export function openNodePaths({ engine, log, stateDirectory, conf, tunnelProber, onChange }: NodePathsParts): Paths {
  return new Paths({
    log, onChange,
    node: () => conf().node ?? hostname(),
    paths: () => pathsIn(engine.ledger()),
    egress: (peer) => findEgress(engine.kernel.route, peer),
    openEnd: (options) => new ProbeEnd(options),
    ...(tunnelProber === undefined ? {} : { tunnelProber }),
    file: findingsFileIn(stateDirectory, (message) => log.warn({ code: 'path-memory' }, message)),
    now: engine.now,
  }, pathConfOf(conf()));
}

/** One from each tenant's VTEP to each of its peers; many tenants have the same. */
function pathsIn(ledger: Ledger): readonly Path[] {
  return ledger.read((reader) => reader.listSegments()).flatMap(({ segment }) => segment.peers.map((peer) => ({ vtep: segment.vtepAddress, peer })));
}
