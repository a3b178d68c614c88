import t from 'tap';
import { pause } from '../sys/timer.ts';
import { finding } from './finding.ts';
import { renderDoctor, reportExamination } from './report.ts';
import { examine, type Check } from './run.ts';

const check = (layer: Check['layer'], look: Check['look']): Check => ({ layer, what: `the ${layer}`, show: `show ${layer}`, look });
const disk = finding('disk-low', { subject: '/var', what: 'little is left', show: 'df' });
const down = finding('underlay-down', { subject: 'eth0', what: 'eth0 is down', show: 'ip link show dev eth0' });

void t.test('a check that fails or hangs stops no other', async (t) => {
  const hanging = pause(500).then(() => []);
  const checks = [check('resource', () => [disk]), check('daemon', () => hanging), check('segment', () => { throw new Error('no netlink'); }), check('underlay', () => [down])];
  const { findings, outcomes } = await examine(checks, { deadlineMs: 20 });
  t.same(outcomes.map(({ outcome }) => outcome), ['done', 'late', 'failed', 'done']);
  t.match(findings, [
    { id: 'not-seen', layer: 'daemon', what: 'looking at the daemon was not done within 20 ms', show: 'show daemon' },
    { id: 'underlay-down' },
    { id: 'not-seen', severity: 'note', layer: 'segment', what: 'looking at the segment could not be done: no netlink' },
    { id: 'disk-low' },
  ], 'by layer, from the ground up');
});

void t.test('who waits is told what for', async (t) => {
  const told: (readonly string[])[] = [];
  const checks = [check('resource', () => pause(50).then(() => [])), check('daemon', () => []), check('underlay', () => [])];
  await examine(checks, { deadlineMs: 20_000, onLeft: (what) => told.push(what) });
  t.equal(told.length, 2, 'as each ends, and not when none is left');
  t.same(told.at(-1), ['the resource']);
});

void t.test('the report', async (t) => {
  const ended = await examine([check('resource', () => [disk]), check('underlay', () => [down])], { deadlineMs: 1000 });
  const report = reportExamination(ended, { node: 'n\u001b[1', version: '1.0.0' });
  t.match(report, { isWell: false, counts: { error: 1, warning: 1, note: 0 }, node: 'n\u001b[1' });
  const lines = renderDoctor(report).split('\n');
  t.same(lines.slice(0, 8), [
    'n?[1: 1 error, 1 warning', '', 'error underlay-down: eth0', '  what: eth0 is down', '  so:   nothing reaches another node', '  fix:  set the link up, or plug the cable in', '  see:  ip link show dev eth0', '',
  ]);
  t.match(lines.at(-2), /^looked at: resource \d+ ms, underlay \d+ ms$/);
  const well = reportExamination(await examine([check('resource', () => [disk])], { deadlineMs: 1000 }), { node: 'n', version: '1' });
  t.equal(well.isWell, true, 'a warning is no error');
  t.match(renderDoctor(reportExamination({ findings: [], outcomes: [] }, { node: 'n', version: '1' })), /^n: nothing is wrong\n/);
});
