/** The integration bridge: made where it is missing, refused where it is somebody else's, and removed with the last tenant. */
import { describeError, WeftError } from '../../../errors/weft-error.ts';
import type { Operation } from '../../../ovsdb/operations.ts';
import { isOvsdbError } from '../../../ovsdb/ovsdb-error.ts';
import type { SwitchConfiguration } from './configuration.ts';
import { Deadline } from './deadline.ts';
import { findBridge, portsOf, type FoundBridge, type OwnBridge, type SwitchRows } from './rows.ts';
import { hasKernelDatapath, type DatapathType, type SwitchPlace } from './settings.ts';
import { insertBridge, mendBridge, removeBridge, removeBridgeWith } from './transactions.ts';

/** ovs-vswitchd writes that a bridge is made together with that it is done; the two are heard of one behind the other. */
const hearingMs = 500;
/** So often something else may come in between, such as another process that makes the bridge as well. */
const attemptsMax = 5;

/** Looks after one bridge. */
export class BridgeKeeper {
  readonly #configuration: SwitchConfiguration;
  readonly #place: SwitchPlace;
  #requiring: Promise<OwnBridge> | undefined;

  constructor(configuration: SwitchConfiguration, place: SwitchPlace) {
    this.#configuration = configuration;
    this.#place = place;
  }

  /**
   * The bridge, which is there and weft's.
   * @throws WeftError foreignObject, invalidConfiguration (it is of another datapath type), notAvailable (this Open vSwitch cannot make it);
   * OvsdbError when the deadline has passed
   */
  async require(deadline: Deadline): Promise<OwnBridge> {
    const found = findBridge(await this.#configuration.read(deadline), this.#place.bridge);
    if (found.kind === 'own' && found.isMade && found.isAsWanted) return this.#usable(found);
    this.#requiring ??= this.#make(deadline).finally(() => (this.#requiring = undefined));
    return this.#requiring;
  }

  /** Why the bridge that is there cannot be weft's; undefined where it can be, or could be made. Changes nothing. @throws WeftError while the rows are not known */
  findObstacle(): WeftError | undefined {
    const found = findBridge(this.#configuration.rows, this.#place.bridge);
    try {
      if (found.kind === 'absent') this.#chooseDatapathType();
      else this.#usable(found);
      return undefined;
    } catch (error) {
      if (error instanceof WeftError) return error;
      throw error;
    }
  }

  /** Who forwards on the bridge, or would on one that is yet to be made. Changes nothing. @throws WeftError as require() does */
  async findDatapathType(deadline: Deadline): Promise<DatapathType> {
    const found = findBridge(await this.#configuration.read(deadline), this.#place.bridge);
    return found.kind === 'absent' ? this.#chooseDatapathType() : this.#usable(found).datapathType;
  }

  /** Removes the bridge with everything on it; nothing where it is not there. @throws WeftError foreignObject; OvsdbError */
  async remove(deadline: Deadline): Promise<void> {
    await this.#removeWhere(deadline, ({ uuid }) => removeBridge(uuid));
  }

  /** As remove(), while nobody has plugged anything into it. What a reboot has left are rows without devices. @returns whether it was removed */
  removeUnused(deadline: Deadline): Promise<boolean> {
    return this.#removeWhere(deadline, (found, rows) => {
      const isUsed = [...portsOf(rows, found).values()].some(({ role, error }) => role === 'port' && error === undefined);
      return isUsed ? undefined : removeBridgeWith(found.uuid, found.ports);
    });
  }

  /** @returns whether there was a bridge to which the operations applied */
  async #removeWhere(deadline: Deadline, operationsFor: (found: OwnBridge, rows: SwitchRows) => readonly Operation[] | undefined): Promise<boolean> {
    for (;;) {
      const rows = await this.#configuration.read(deadline);
      const found = findBridge(rows, this.#place.bridge);
      if (found.kind === 'absent') return false;
      if (found.kind === 'foreign') throw this.#foreign();
      const operations = operationsFor(found, rows);
      if (operations === undefined) return false;
      try {
        await this.#configuration.transact(operations, deadline);
        return true;
      } catch (error) {
        if (!isOvsdbError(error, 'outcomeUnknown', 'waitFailed') || deadline.isOver) throw error;
      }
    }
  }

  /** Looks, does what is missing, and looks again, for others may have done it meanwhile. */
  async #make(deadline: Deadline): Promise<OwnBridge> {
    for (let attempt = 1; ; attempt += 1) {
      const found = findBridge(await this.#configuration.read(deadline), this.#place.bridge);
      try {
        if (found.kind === 'absent') await this.#configuration.transact(insertBridge(this.#place.bridge, this.#chooseDatapathType()), deadline);
        else await this.#complete(this.#usable(found), deadline);
        return await this.#whenMade(deadline);
      } catch (error) {
        if (!isOvsdbError(error, 'outcomeUnknown', 'unavailable', 'waitFailed') || deadline.isOver || attempt === attemptsMax) throw error;
      }
    }
  }

  /** A bridge that is there and not as it should be. */
  async #complete({ uuid, isAsWanted }: OwnBridge, deadline: Deadline): Promise<void> {
    await this.#configuration.transact(isAsWanted ? [] : mendBridge(uuid), deadline);
  }

  /** Of a bridge that it cannot make ovs-vswitchd says nothing in the database: its own interface just gets no number. */
  async #whenMade(deadline: Deadline): Promise<OwnBridge> {
    const { bridge } = this.#place;
    const made = (found: FoundBridge): OwnBridge | undefined => (found.kind === 'own' && found.isMade ? this.#usable(found) : undefined);
    try {
      return await this.#configuration.waitFor((rows) => made(findBridge(rows, bridge)), { what: `ovs-vswitchd to make the bridge ${bridge}`, deadline: new Deadline(Math.min(hearingMs, deadline.deadlineMs)) });
    } catch (error) {
      // Where the database went away nothing follows from its silence.
      if (!isOvsdbError(error, 'notRealised') || this.#configuration.outage !== undefined) throw error;
      await this.#giveUp(error);
      throw new WeftError('notAvailable', `Open vSwitch cannot make the bridge ${bridge}`, {
        details: 'the log of ovs-vswitchd says why; where the kernel has no openvswitch module, set ovs.datapathType to "netdev"',
        cause: error,
      });
    }
  }

  /** What cannot be made is not left behind, unless it has ports. */
  async #giveUp(because: unknown): Promise<void> {
    const found = findBridge(this.#configuration.rows, this.#place.bridge);
    if (found.kind !== 'own' || found.ports.size > 1) return;
    try {
      await this.#configuration.transact(removeBridge(found.uuid), new Deadline(hearingMs));
    } catch (error) {
      throw new WeftError('tryAgainLater', `Cannot take back the bridge ${this.#place.bridge}: ${describeError(error)}`, { cause: because });
    }
  }

  /** @throws WeftError foreignObject, invalidConfiguration */
  #usable(found: Exclude<FoundBridge, { kind: 'absent' }>): OwnBridge {
    if (found.kind === 'foreign') throw this.#foreign();
    const { bridge, datapathType } = this.#place;
    if (datapathType === undefined || datapathType === found.datapathType) return found;
    throw new WeftError('invalidConfiguration', `ovs.datapathType must be that of the bridge ${bridge}, which is "${found.datapathType}": current value is "${datapathType}"`, {
      details: `set ovs.datapathType to "${found.datapathType}"; or remove the containers of this node, then the bridge (ovs-vsctl del-br ${bridge}), and weft makes it anew`,
    });
  }

  #foreign(): WeftError {
    const { bridge } = this.#place;
    return new WeftError('foreignObject', `Cannot use the bridge ${bridge}: weft did not make it`, {
      details: `set ovs.bridge to a name that is free, or remove the bridge: ovs-vsctl del-br ${bridge}`,
    });
  }

  /** For a bridge that is yet to be made. @throws WeftError notAvailable */
  #chooseDatapathType(): DatapathType {
    const { datapathType } = this.#place;
    const known = [...this.#configuration.rows.table('Open_vSwitch').values()].flatMap((row) => [...row.datapath_types]);
    const hasKernel = hasKernelDatapath();
    const chosen = datapathType ?? (hasKernel && known.includes('system') ? 'system' : 'netdev');
    // ovs-vswitchd writes the list when it starts: an empty one says nothing.
    if (known.length > 0 && !known.includes(chosen)) throw this.#missing(chosen, `this Open vSwitch has none but ${known.sort().join(', ')}`);
    if (chosen === 'system' && !hasKernel) throw this.#missing(chosen, 'this kernel has no openvswitch module');
    return chosen;
  }

  #missing(datapathType: DatapathType, because: string): WeftError {
    const other = datapathType === 'system' ? 'netdev' : 'system';
    return new WeftError('notAvailable', `ovs.datapathType "${datapathType}" is not available: ${because}`, {
      details: `set ovs.datapathType to "${other}"${datapathType === 'system' ? ', or install the module: modprobe openvswitch' : ''}`,
    });
  }
}
