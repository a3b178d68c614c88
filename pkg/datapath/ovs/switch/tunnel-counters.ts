/** What the switch's tunnels have carried, as ovs-vswitchd writes it into its database every five seconds (ovs-vswitchd.conf.db(5), "Statistics"). Pure. */
import { selectRows, type Operation } from '../../../ovsdb/operations.ts';
import { rowsOf, type OperationResult } from '../../../ovsdb/results.ts';
import { mapOf } from '../../../ovsdb/values.ts';
import { ownerKey } from './rows.ts';

/** Counters of a tunnel's interface, as the node sees it: what it received came out of the tunnel. */
export interface TunnelCounters {
  readonly name: string;
  readonly receivedPackets: number;
  readonly sentPackets: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly receivedDropped: number;
  readonly sentDropped: number;
}

/** Asks for them. */
export function selectTunnels(): Operation {
  return selectRows('Interface', [['external_ids', 'includes', mapOf({ [ownerKey]: 'tunnel' })]], ['name', 'statistics']);
}

/** The answer. @throws OvsdbError garbled */
export function decodeTunnels(result: OperationResult | undefined): readonly TunnelCounters[] {
  return rowsOf(result, { name: 'string', statistics: 'string=>integer' } as const).map(({ name, statistics }) => {
    const read = (key: string): number => statistics.get(key) ?? 0;
    return {
      name, receivedPackets: read('rx_packets'), sentPackets: read('tx_packets'), receivedBytes: read('rx_bytes'), sentBytes: read('tx_bytes'),
      receivedDropped: read('rx_dropped'), sentDropped: read('tx_dropped'),
    };
  });
}
