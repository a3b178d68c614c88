/**
 * ADD with each of its kernel and ledger steps failing in turn, and the process killed at each; the same for DEL.
 * Afterwards DEL, or GC, must leave the node and the ledger as they were before.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { readBootId } from '../ledger/boot.ts';
import { openLedger } from '../ledger/ledger.ts';
import { inNetns, run } from '../testing/command.ts';
import { temporaryDirectory } from '../testing/directory.ts';
import { createNetns, netnsPath, type TeardownScope } from '../testing/netns.ts';
import { readLinks, readRuleset } from '../testing/observe.ts';
import { skipUnless } from '../testing/requirements.ts';
import type { StepAnswer, StepCall } from './test-step-child.ts';
import type { Mishap } from './test-steps.ts';

const childDeadlineMs = 20_000;
/** More than any ADD has; reaching it means the test went round in circles. */
const stepsMax = 120;
const noMishap = { at: 0, mishap: 'fail-before' } as const;
const script = join(import.meta.dirname, 'test-step-child.ts');
const skip = skipUnless({ root: true, tools: ['ip', 'nft'] });

const conf = {
  cniVersion: '1.1.0', name: 'blue', type: 'weft', vni: 1001, vtep: { interface: 'u0' }, peers: ['10.200.0.2'], isGateway: true, ipMasq: true,
  runtimeConfig: { bandwidth: { ingressRate: 8_000_000, egressRate: 8_000_000 } },
  ipam: { type: 'weft', ranges: [[{ subnet: '10.1.1.0/24' }], [{ subnet: 'fd00:1::/64' }]], routes: [{ dst: '0.0.0.0/0' }] },
};

interface Lab {
  readonly node: string;
  readonly container: string;
  readonly directory: string;
}

/** A node with an underlay link, and one container; removed with the test. */
function makeLab(scope: TeardownScope): Lab {
  const directory = temporaryDirectory(scope);
  const node = createNetns(scope, 'node');
  const container = createNetns(scope, 'container');
  run('ip', ['-n', node, 'link', 'add', 'u0', 'type', 'veth', 'peer', 'name', 'u1']);
  run('ip', ['-n', node, 'address', 'add', '10.200.0.1/24', 'dev', 'u0']);
  for (const link of ['u0', 'u1']) run('ip', ['-n', node, 'link', 'set', link, 'up']);
  return { node, container, directory };
}

/** Runs one verb in a process of its own; undefined when that process was killed. */
function call(lab: Lab, verb: StepCall['verb'], plan: StepCall['plan'] = noMishap): StepAnswer | undefined {
  const argument: StepCall = { verb, directory: lab.directory, netns: netnsPath(lab.container), containerId: 'c1', conf, plan };
  const child = spawnSync('ip', inNetns(lab.node, process.execPath, script, JSON.stringify(argument)), { timeout: childDeadlineMs, encoding: 'utf8' });
  if (child.signal === 'SIGKILL' || child.status === 137) return undefined;
  if (child.status !== 0) throw new Error(`the child failed: ${child.stderr}`);
  return JSON.parse(child.stdout) as StepAnswer;
}

/** Everything a mishap could leave behind: links of node and container, addresses, nft, ledger rows. */
function observe(lab: Lab): unknown {
  return {
    links: [lab.node, lab.container].map((netns) => readLinks(netns).map((link) => link.ifname)),
    ruleset: readRuleset(lab.node),
    rows: countRows(lab.directory),
  };
}

/** Attachments, segments and allocations. */
function countRows(directory: string): number {
  const ledger = openLedger({ directory, bootId: readBootId() });
  try {
    return ledger.read((tx) => tx.countAttachments() + tx.listSegments().length + tx.listSegments().flatMap(({ vni }) => tx.listAllocations({ vni })).length);
  } finally {
    ledger.close();
  }
}

function isComplete(answer: StepAnswer | undefined): boolean {
  return answer !== undefined && answer.error === undefined;
}

void t.test('ADD with a mishap at each step leaves nothing behind', { skip }, async (t) => {
  const lab = makeLab(t);
  const before = observe(lab);
  for (const mishap of ['fail-before', 'fail-after', 'kill-before', 'kill-after', 'deleted-meanwhile'] satisfies Mishap[]) {
    let at = 1;
    for (; at <= stepsMax; at += 1) {
      const answer = call(lab, 'add', { at, mishap });
      const isLast = answer !== undefined && answer.steps.length < at;
      // Of a transaction that was carried out and reported as failed nobody but the runtime's DEL can know.
      const isUnknowable = mishap === 'fail-after' && answer?.steps.at(at - 1) === 'ledger write';
      // A refusal that ADD takes for an answer ("is it there already?") is no failure.
      const isUndone = !mishap.startsWith('kill') && !isComplete(answer) && !isUnknowable;
      if (!isUndone) call(lab, at % 2 === 0 ? 'del' : 'gc');
      t.same(observe(lab), before, `${mishap} at step ${at}: ${answer?.steps.at(at - 1) ?? 'killed'}`);
      if (isLast) break;
    }
    t.ok(at > 10 && at <= stepsMax, `${mishap}: ${at - 1} steps tried`);
  }
});

void t.test('DEL killed at each step is finished by the next DEL', { skip }, async (t) => {
  const lab = makeLab(t);
  const before = observe(lab);
  for (const mishap of ['fail-before', 'kill-before', 'kill-after'] satisfies Mishap[]) {
    let at = 1;
    for (; at <= stepsMax; at += 1) {
      t.equal(call(lab, 'add')?.error, undefined, 'ADD works');
      const answer = call(lab, 'del', { at, mishap });
      if (answer !== undefined) t.notOk(answer.error, 'DEL does not fail');
      call(lab, 'del');
      t.same(observe(lab), before, `${mishap} at step ${at}`);
      if (answer !== undefined && answer.steps.length < at) break;
    }
    t.ok(at > 3 && at <= stepsMax, `${mishap}: ${at - 1} steps tried`);
  }
});
