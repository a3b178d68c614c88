/** Nodes whose BGP is wrong in some way: where it must be said, and what must go on all the same. */
import { writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import { startFrr } from '../../pkg/testing/frr.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { runWeft } from '../command-line/run-weft.ts';
import { describeOutcome } from '../harness/cni-call.ts';
import { ping } from '../harness/container.ts';
import { Daemon, throughLauncher } from '../harness/daemon.ts';
import { createLab, type Lab } from '../harness/lab.ts';
import { blue } from '../harness/tenant.ts';
import { attachEvpnGuest, configure, eventually, evpnConf, type EvpnGuest, type EvpnNode } from './scene.ts';

/** A node with two containers of one tenant on it. */
export interface Site extends EvpnNode {
  readonly number: number;
  readonly guests: readonly [EvpnGuest, EvpnGuest];
}

/** An address on the underlay that nobody has. */
export const nobody = '10.200.0.99';

/** Nodes with FRR, a daemon and two containers each; `linesOf`: those of `controlPlane`. Nobody waits for a session. */
export async function createSites(scope: TeardownScope, count: number, linesOf: (lab: Lab, number: number) => readonly string[]): Promise<{ readonly lab: Lab; readonly sites: readonly Site[] }> {
  const lab = createLab(scope, { nodes: count, ...throughLauncher });
  const sites: Site[] = [];
  for (const [index, node] of lab.nodes.entries()) {
    const number = index + 1;
    const frr = await startFrr(scope, { netns: node.netns });
    configure(node, frr, linesOf(lab, number));
    const daemon = await Daemon.start(scope, node);
    const guests = [await attachEvpnGuest(lab, blue, { node: number, label: `a${number}` }), await attachEvpnGuest(lab, blue, { node: number, label: `b${number}` })] as const;
    sites.push({ node, frr, daemon, number, guests });
  }
  return { lab, sites };
}

/** Starts bgpd anew with this configuration, as an operator writes it. */
export async function restartWith({ frr }: EvpnNode, bgpd: string): Promise<void> {
  await frr.kill('bgpd');
  writeFileSync(frr.configPath('bgpd'), bgpd);
  await frr.start('bgpd');
}

/** What is to be said of a fault. */
export interface Expected {
  readonly what: string;
  readonly words: RegExp;
  /** Whether the node hears of nobody, so that STATUS fails; unknown: it may come to hear of somebody meanwhile. @default true */
  readonly isDeaf?: boolean | 'unknown';
}

/** `weft status`, STATUS and the daemon's log say what is wrong, and the node's containers reach each other. */
export async function expectFault(t: Test, lab: Lab, site: Site, { what, words, isDeaf = true }: Expected): Promise<void> {
  const { node, daemon, guests, number } = site;
  let said = '';
  await eventually(`weft status tells of ${what}`, async () => {
    const { exitCode, stdout, stderr } = await runWeft(node, ['status']);
    said = stdout + stderr;
    return exitCode === 1 && words.test(said);
  }, () => `${String(words)} in ${said}\n${daemon.describe()}`);
  await daemon.logged(/^BGP EVPN does not work as it should$/, (line) => words.test(String(line['fault'])));
  const outcome = await node.status(evpnConf(lab, blue, number));
  if (isDeaf === true) {
    t.equal(outcome.error?.code, 50, `${what}: STATUS fails: ${describeOutcome(outcome)}`);
    t.match(`${outcome.error?.msg} ${outcome.error?.details}`, words, `${what}: and says why`);
  }
  if (!isDeaf) await statusSucceeds(lab, site, what);
  t.ok((await ping(guests[0].netns, guests[1].participant.ipv4, { count: 2 })) > 0, `${what}: the node's containers reach each other`);
}

/** Nothing is wrong (any more). @throws Error with what is */
export async function expectWell(lab: Lab, site: Site, what: string): Promise<void> {
  const { node, daemon } = site;
  let said = '';
  await eventually(`weft status is content ${what}`, async () => {
    const { exitCode, stdout, stderr } = await runWeft(node, ['status']);
    said = stdout + stderr;
    return exitCode === 0;
  }, () => `${said}\n${daemon.describe()}`);
  await statusSucceeds(lab, site, what);
}

async function statusSucceeds(lab: Lab, { node, daemon, number }: Site, what: string): Promise<void> {
  let said = '';
  await eventually(`STATUS succeeds: ${what}`, async () => {
    const outcome = await node.status(evpnConf(lab, blue, number));
    said = describeOutcome(outcome);
    return outcome.exitCode === 0;
  }, () => `${said}\n${daemon.describe()}`);
}
