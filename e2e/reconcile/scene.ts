/** Where these tests play: a node with a daemon, and two tenants with the same subnet on it; one of them is damaged. */
import { spawn } from 'node:child_process';
import { inNetns } from '../../pkg/testing/command.ts';
import { undoAtExit } from '../../pkg/testing/exit-cleanup.ts';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { createDaemonLabOf, type Daemon } from '../harness/daemon.ts';
import { readAttachment } from '../harness/kernel-view.ts';
import type { DatapathName, LabNode } from '../harness/lab-node.ts';
import type { Lab } from '../harness/lab.ts';
import { nodeRanges } from '../harness/net-conf.ts';
import { attachGuest, blue, red, type Guest, type Tenant } from '../harness/tenant.ts';
import { debugging } from './full-pass.ts';

export interface Scene {
  readonly lab: Lab;
  readonly node: LabNode;
  readonly daemon: Daemon;
  /** Of tenant blue: one with limits in both directions, one without. */
  readonly blue: readonly [Guest, Guest];
  /** Of tenant red, whom nothing of it concerns. */
  readonly red: readonly [Guest, Guest];
}

/** Blue has its gateway on the node, and a peer that is not there. */
export const blueTenant: Tenant = {
  ...blue,
  extra: {
    peers: ['10.200.0.2'], isGateway: true, ipMasq: true, capabilities: { bandwidth: true },
    ipam: { type: 'weft', ranges: nodeRanges(1, {}), routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }] },
  },
};

/** Bits per second and bits; far above what the tests send. */
const bandwidth = { ingressRate: 80_000_000, ingressBurst: 8_000_000, egressRate: 40_000_000, egressBurst: 8_000_000 };

/** A scene on a node of the datapath, which goes away with the scope. */
export async function createScene(scope: TeardownScope, datapath: DatapathName): Promise<Scene> {
  const { lab, daemons } = await createDaemonLabOf(scope, [datapath], { daemon: debugging });
  const [daemon] = daemons;
  if (daemon === undefined) throw new Error('the lab has no daemon');
  const limitedTenant = { ...blueTenant, extra: { ...blueTenant.extra, runtimeConfig: { bandwidth } } };
  const limited = await attachGuest(lab, limitedTenant, 1, { label: 'limited' });
  const plain = await attachGuest(lab, blueTenant, 1, { label: 'plain' });
  const reds = [await attachGuest(lab, red, 1, { label: 'red-1' }), await attachGuest(lab, red, 1, { label: 'red-2' })] as const;
  await lab.settle();
  return { lab, daemon, node: daemon.node, blue: [limited, plain], red: reds };
}

/** The host's end of a container's veth. @throws Error when there is none */
export function hostIfOf(guest: Parameters<typeof readAttachment>[0]): string {
  const { hostIf } = readAttachment(guest);
  if (hostIf === undefined) throw new Error(`${guest.attach.containerId} has no host interface`);
  return hostIf;
}

/** Echo requests that go on until they are counted. */
export interface SteadyPing {
  /** Ends it; how many were answered, and the numbers of those that were not though a later one was. */
  end(): Promise<{ readonly answered: number; readonly lost: readonly number[] }>;
}

/** Sends fifty echo requests a second, until its end is asked for or the scope ends. */
export function pingSteadily(scope: TeardownScope, netns: string, address: string): SteadyPing {
  const child = spawn('ip', inNetns(netns, 'ping', '-n', '-i', '0.02', '-W', '2', address), { stdio: ['ignore', 'pipe', 'ignore'] });
  const answered = new Set<number>();
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = `${text}${chunk}`.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) {
      const sequence = /icmp_seq=(\d+) ttl/.exec(line)?.[1];
      if (sequence !== undefined) answered.add(Number(sequence));
    }
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()).once('error', () => resolve()));
  const forget = undoAtExit(() => void child.kill('SIGKILL'));
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    forget();
    child.kill(signal);
    await ended;
  };
  scope.teardown(() => stop('SIGKILL'));
  return {
    async end() {
      await stop('SIGINT');
      const last = Math.max(0, ...answered);
      return { answered: answered.size, lost: Array.from({ length: last }, (_, index) => index + 1).filter((sequence) => !answered.has(sequence)) };
    },
  };
}
