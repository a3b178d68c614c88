/** Why an ADD cannot work with this Open vSwitch, found without changing anything of it. */
import { describeError, describeWithAdvice, isWeftError, WeftError } from '../../../errors/weft-error.ts';
import { isOvsdbError } from '../../../ovsdb/ovsdb-error.ts';
import type { BridgeKeeper } from './bridge-keeper.ts';
import type { SwitchConfiguration } from './configuration.ts';
import { Deadline } from './deadline.ts';
import { findBridge } from './rows.ts';
import type { SwitchPlace } from './settings.ts';

/** What is asked. */
export interface ObstacleParts {
  readonly place: SwitchPlace;
  readonly configuration: SwitchConfiguration;
  readonly keeper: BridgeKeeper;
  /** Has the switch answer on the bridge's management socket. @throws WeftError when it does not within so many milliseconds */
  readonly probe: (deadlineMs: number) => Promise<void>;
  /** How long each of the programs may take to answer, in milliseconds. */
  readonly patienceMs: number;
}

/** The obstacle in words that say what to change; undefined where there is none. */
export async function findObstacle({ place, configuration, keeper, probe, patienceMs }: ObstacleParts): Promise<string | undefined> {
  try {
    const rows = await configuration.read(new Deadline(patienceMs));
    const obstacle = keeper.findObstacle();
    if (obstacle !== undefined) return describeWithAdvice(obstacle);
    // The bridge's own socket answers without anything being changed.
    const isThere = findBridge(rows, place.bridge).kind === 'own';
    const silence = isThere ? await reasonOf(probe(patienceMs)) : undefined;
    if (isThere && silence === undefined) return undefined;
    await configuration.transact([], new Deadline(patienceMs));
    return silence === undefined ? undefined : `the bridge ${place.bridge} cannot be reached on ${place.managementSocket} (${silence}): set ovs.runDirectory to where ovs-vswitchd makes its sockets`;
  } catch (error) {
    return describeFailure(error, place);
  }
}

/** Why the promise was rejected; undefined where it was not. */
async function reasonOf(promise: Promise<void>): Promise<string | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}

/** The error in the words of findObstacle(), so that an ADD says what STATUS says; one that is not the database's as it is. */
export function withAdvice(error: unknown, place: SwitchPlace): unknown {
  return isOvsdbError(error) ? new WeftError(error.code, describeFailure(error, place), { cause: error }) : error;
}

function describeFailure(error: unknown, { database }: SwitchPlace): string {
  if (isOvsdbError(error, 'notRealised')) return 'ovs-vswitchd does not do what the database says: look whether it runs, and start it (systemctl start openvswitch-switch)';
  if (isOvsdbError(error, 'refused', 'waitFailed')) return `what listens on ${database} has no database of Open vSwitch (${describeError(error)}): set ovs.database to the socket of its ovsdb-server`;
  if (isOvsdbError(error)) return `Open vSwitch's database cannot be reached on ${database} (${describeError(error)}): start Open vSwitch (systemctl start openvswitch-switch), or set ovs.database to where its ovsdb-server listens`;
  if (isWeftError(error)) return describeWithAdvice(error);
  throw error;
}
