/** Asks FRR, where it is to tell the other nodes. */
import type { EvpnConf } from '../../config/control-plane.ts';
import { describeWithAdvice } from '../../errors/weft-error.ts';
import { askFrr, viewTenants } from '../../evpn/look.ts';
import { reportEvpn } from '../../evpn/view.ts';
import { readVnis } from '../../frr/tables.ts';
import { openVty } from '../../frr/vty.ts';
import type { ZebraVni } from '../../frr/zebra-tables.ts';
import type { FrrFacts } from '../frr.ts';
import type { Surroundings } from './surroundings.ts';

const asking = { deadlineMs: 3000 };

/** What FRR, the ledger and the kernel say. @throws as NodeRemotes.observeRemotes() */
export async function lookAtFrr(conf: EvpnConf, { node, daemon, datapath }: Surroundings): Promise<FrrFacts> {
  const [{ frr, problem }, zebra] = await Promise.all([askFrr(conf), askZebra(conf)]);
  return {
    problems: [...(problem === undefined ? [] : [{ daemon: 'bgpd' as const, problem }]), ...('problem' in zebra ? [{ daemon: 'zebra' as const, problem: zebra.problem }] : [])],
    report: reportEvpn({ conf, frr, faults: [], tenants: await viewTenants(datapath, node) }),
    vnis: 'vnis' in zebra ? zebra.vnis : undefined,
    controlPlaneFaults: daemon.kind === 'running' ? (daemon.status.controlPlaneFaults ?? []) : [],
  };
}

async function askZebra({ runDirectory }: EvpnConf): Promise<{ readonly vnis: readonly ZebraVni[] } | { readonly problem: string }> {
  try {
    const zebra = await openVty({ daemon: 'zebra', runDirectory }, asking);
    try {
      return { vnis: await readVnis(zebra, asking) };
    } finally {
      zebra.close();
    }
  } catch (error) {
    return { problem: describeWithAdvice(error) };
  }
}
