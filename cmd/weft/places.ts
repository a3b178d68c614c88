/** Where weft keeps things. The environment moves each, so that several nodes can live on one machine. */
import { env } from 'node:process';

export interface Places {
  /** Outlives a reboot: the ledger. */
  readonly stateDirectory: string;
  /** Gone with a reboot: the socket, DELs that the state directory could not take. */
  readonly runDirectory: string;
  /** The node configuration. */
  readonly configPath: string;
  /** Whether somebody asked for that file by name, so that its absence is an error. */
  readonly isConfigRequired: boolean;
  /** What the launcher executes where there is no daemon. */
  readonly executable: string;
}

/** An empty variable counts as absent. */
function variable(name: string): string | undefined {
  const value = env[name];
  return value === '' ? undefined : value;
}

/** The places of this process. */
export function findPlaces(): Places {
  const config = variable('WEFT_CONFIG');
  return {
    stateDirectory: variable('WEFT_STATE_DIR') ?? '/var/lib/weft',
    runDirectory: variable('WEFT_RUN_DIR') ?? '/run/weft',
    configPath: config ?? '/etc/weft/weft.yaml',
    isConfigRequired: config !== undefined,
    executable: variable('WEFT_EXE') ?? '/usr/local/bin/weft',
  };
}
