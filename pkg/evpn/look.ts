/** What FRR and the datapath know, looked up once by whoever is no daemon. */
import type { EvpnConf } from '../config/control-plane.ts';
import type { NodeRemotes } from '../datapath/remotes.ts';
import { describeWithAdvice } from '../errors/weft-error.ts';
import { readRoutes, readSessions } from '../frr/tables.ts';
import { openVty } from '../frr/vty.ts';
import { contentOf, type NodeState } from '../report/node-state.ts';
import type { FrrView, TenantView } from './view.ts';

const asking = { deadlineMs: 5000 };

/** What bgpd says; where it cannot be asked, why, in words. */
export async function askFrr({ runDirectory }: EvpnConf): Promise<{ readonly frr: FrrView | undefined; readonly problem?: string }> {
  try {
    const bgpd = await openVty({ daemon: 'bgpd', runDirectory }, asking);
    try {
      return { frr: { sessions: await readSessions(bgpd, asking), routes: await readRoutes(bgpd, asking) } };
    } finally {
      bgpd.close();
    }
  } catch (error) {
    return { frr: undefined, problem: describeWithAdvice(error) };
  }
}

/** The tenants of which BGP is to tell, with what the datapath has of other nodes. @throws as NodeRemotes.observeRemotes() */
export async function viewTenants(datapath: Pick<NodeRemotes, 'observeRemotes'>, node: NodeState): Promise<readonly TenantView[]> {
  const { segments, attachments } = contentOf(node);
  return Promise.all(segments.filter(({ segment }) => segment.controlPlane === 'evpn').map(async ({ vni, segment }) => ({
    segment,
    ports: attachments.filter((record) => record.vni === vni && record.state === 'attached').map(({ port }) => port),
    seen: await datapath.observeRemotes(segment),
  })));
}
