/** What a daemon has on a node for its own probes, and not for any container: there as long as it runs and there are peers, a moment after the first of them. */
import type { NodeSnapshot } from './lab-node.ts';

/** Whether a link is a probe tunnel. */
export function isProbeTunnel(name: string): boolean {
  return /^weft-st[a-z2-7]{8}$/.test(name);
}

/** The node as if nobody probed. */
export function withoutProbes(snapshot: NodeSnapshot): NodeSnapshot {
  return {
    ...snapshot,
    links: snapshot.links.filter((link) => !isProbeTunnel(link.split(' ')[0] ?? '')),
    // Elements of VNI 16777215; what stands between the others follows from how many there are in a line.
    ruleset: snapshot.ruleset.replace(/[^{},]*0xffffff00\s*,?/g, '').replace(/,\s*}/g, ' }').replace(/[ \t]*\n[ \t]*/g, '\n').replace(/,\s+/g, ', '),
  };
}
