/** Doing damage, and waiting until it is put right. */
import type { Test } from 'tap';
import { run, inNetns } from '../../pkg/testing/command.ts';
import { addressesUsable, ping } from '../harness/container.ts';
import type { Daemon } from '../harness/daemon.ts';
import { runWeft } from '../command-line/run-weft.ts';
import { hostIfOf, pingSteadily, type Scene } from './scene.ts';
import { describeNode } from './whole.ts';

/** Programs that damages and descriptions use. */
export const damageTools = ['tc', 'sysctl'] as const;

export interface Damage {
  /** A program and its arguments; what is in braces is one of them. */
  readonly command: string;
  readonly args?: readonly string[];
  /** @default 'node' */
  readonly where?: 'node' | 'container';
  /** Parts of the repairs that must be reported; none where the switch puts it right by itself. */
  readonly names: readonly string[];
  /** No event of the kernel tells of it: it is found by a pass over the whole node, which SIGHUP asks for. */
  readonly isSilent?: boolean;
}

/** What is called by name in damages: of tenant blue and its limited container. */
export interface Names {
  readonly bridge: string;
  readonly vxlan: string;
  readonly hostIf: string;
  readonly shaper: string;
  readonly mac: string;
  /** Of the other container. */
  readonly otherIf: string;
}

export function namesOf({ blue: [limited, plain] }: Scene): Names {
  const hostIf = hostIfOf(limited);
  const mac = limited.result.interfaces?.find(({ sandbox }) => sandbox !== undefined && sandbox !== '')?.mac ?? '';
  return { bridge: 'weft-br1001', vxlan: 'weft-vx1001', hostIf, otherIf: hostIfOf(plain), shaper: hostIf.replace('weft-p', 'weft-i'), mac };
}

/** Several commands at once. */
export function shell(line: string, names: readonly string[]): Damage {
  return { command: line, args: ['sh', '-e', '-c', line], names };
}

/**
 * Does the damages one after the other, each behind the repair of the one before. After each the node must look as before, the
 * tenant's containers must reach each other and their gateway, and the report and the log must name it. Meanwhile the other tenant
 * exchanges packets, none of which may be lost.
 */
export async function doDamages(t: Test, scene: Scene, damages: readonly Damage[]): Promise<void> {
  const { daemon, red: [from, to] } = scene;
  const describe = (): unknown => describeNode(scene.node, scene.blue.map(({ netns }) => netns));
  const whole = describe();
  const bystander = pingSteadily(t, from.netns, to.participant.ipv4);
  const times: number[] = [];
  for (const damage of damages) {
    const startedAt = Date.now();
    apply(scene, damage);
    if (damage.isSilent === true) daemon.signal('SIGHUP');
    const repairedAt = await namedSince(daemon, startedAt, damage.names);
    await daemon.eventually(`makes the node whole after ${damage.command}`, () => JSON.stringify(describe()) === JSON.stringify(whole)).catch(() => undefined);
    t.same(describe(), whole, `${damage.command}: whole again`);
    t.same(await reach(scene), [1, 1, 1, 1], `${damage.command}: the containers reach each other and their gateway`);
    if (damage.isSilent !== true && damage.names.length > 0) times.push(repairedAt - startedAt);
  }
  const { answered, lost } = await bystander.end();
  t.ok(answered > 0 && lost.length === 0, `the other tenant lost none of ${answered} packets: ${lost.join(', ')}`);
  await expectNamed(t, scene, damages);
  times.sort((a, b) => a - b);
  t.comment(`from the damage to its repair, of ${times.length}: p50 ${times[times.length >> 1]} ms, longest ${times.at(-1)} ms`);
}

function apply({ node, blue: [limited] }: Scene, { command, args, where = 'node' }: Damage): void {
  run('ip', inNetns(where === 'node' ? node.netns : limited.netns, ...(args ?? command.split(/ (?![^{]*\})/))));
}

/** Waits until the report names everything; when the last of it was repaired. */
async function namedSince(daemon: Daemon, startedAt: number, names: readonly string[]): Promise<number> {
  let found: readonly number[] = [];
  await daemon.eventually(`reports ${names.join(', ')}`, async () => {
    const repairs = (await daemon.status()).reconciler.repairs.filter(({ at }) => at >= startedAt);
    const matches = names.map((name) => repairs.find(({ what }) => what.includes(name))?.at);
    found = matches.filter((at) => at !== undefined);
    return found.length === names.length;
  });
  return Math.max(...found);
}

/** Echo requests of blue that are answered: container to container and to the gateway, in both families. */
async function reach({ blue: [limited, plain] }: Scene): Promise<readonly number[]> {
  await Promise.all([limited, plain].map(({ netns }) => addressesUsable(netns)));
  return Promise.all([ping(plain.netns, limited.participant.ipv4), ping(plain.netns, limited.participant.ipv6), ping(limited.netns, '10.1.1.1'), ping(limited.netns, 'fd00:1::1')]);
}

async function expectNamed(t: Test, { node, daemon }: Scene, damages: readonly Damage[]): Promise<void> {
  const lines = daemon.linesOf(/^repaired$/).map((line) => `${line.level} ${String(line['repaired'])}`);
  for (const { command, names } of damages) t.ok(names.every((name) => lines.some((line) => line.startsWith('warn ') && line.includes(name))), `${command}: the log names it`);
  const { stdout } = await runWeft(node, ['status', '-o', 'json']);
  const last = damages.at(-1)?.names[0] ?? '';
  t.ok(stdout.includes(JSON.stringify(last).slice(1, -1)), 'weft status names the last one');
  const { reconciler } = await daemon.status();
  t.same(reconciler.openFaults, [], 'nothing is left to repair');
  t.same(daemon.log.filter(({ level }) => level === 'error'), [], 'no errors in the log');
}
