/**
 * The course of a migration as one node sees it: what may happen in each phase, and what follows. Pure.
 *
 *                        source                                            target
 *
 *     (none) ──begin──▶ relaying                              ──ADD──▶ waiting
 *                          │  activate: depart, tell `open`               │  open, activate, opened: open, announce, tell `opened`
 *                          │  opened:   depart                            ▼
 *                          ▼                                           arrived
 *                       departed                                          │  left, late: settle
 *                          │  quiet: leave, tell `left`                   ▼
 *                          ▼                                            (none)
 *                        left ──DEL──▶
 *
 * Until the target has opened, the endpoint is the source's: cancelled, timed out, or abandoned by the target, it goes on there. When the target
 * has opened nothing takes it back but a migration the other way. Whoever speaks last has the endpoint, as with every machine on a network: a
 * target that was given up and whose machine speaks all the same has it.
 */
import type { MigrationPhase } from '../overlay/model.ts';

/** A phase, or none: an attachment as any other. */
export type Phase = MigrationPhase | 'none';

/**
 * What happens. Said by the hypervisor or an operator on this node: `activate`, `cancel`. By the other node: `begin` (its ADD is done), `open` (the machine has
 * stopped at the source), `opened` (it is at the target), `abandoned` (the target is gone), `cancelled`, `left`, `gone` (the source's attachment was deleted).
 * By itself: `spoke` (the machine opened the gate), `quiet` (nothing was relayed for a while), `late` (what should come has not come in time).
 */
export type MigrationEvent = 'begin' | 'activate' | 'cancel' | 'open' | 'opened' | 'abandoned' | 'cancelled' | 'left' | 'gone' | 'spoke' | 'quiet' | 'late';

/** Something has happened to an endpoint that moves. */
export interface MigrationNote {
  /** Of the attachment, on this node. */
  readonly seq: number;
  readonly event: MigrationEvent;
  readonly from: Phase;
  readonly to: Phase;
}

/** What the datapath does: a method of DatapathMigration. */
export type Work = 'startRelay' | 'depart' | 'leave' | 'takeBack' | 'open' | 'settle';

/** What the other node is told. */
export type Word = 'open' | 'opened' | 'left' | 'cancelled' | 'abandoned';

/** What follows: first the work, which packets wait for; then the word; then the phase is written down. */
export interface Step {
  readonly to: Phase;
  readonly work?: Work;
  readonly tell?: Word;
  /** Whether the network is told that the endpoint is here. */
  readonly announces?: true;
}

const depart = { to: 'departed', work: 'depart' } as const;
const takeBack = { to: 'none', work: 'takeBack' } as const;
const open = { to: 'arrived', work: 'open', tell: 'opened', announces: true } as const;
const settle = { to: 'none', work: 'settle' } as const;
const leave = { to: 'left', work: 'leave', tell: 'left' } as const;
/** What was said was done before, and is said again to one who has not heard of it. */
const again = { departed: { to: 'departed', tell: 'open' }, arrived: { to: 'arrived', tell: 'opened' }, left: { to: 'left', tell: 'left' } } as const;

const course: Readonly<Record<Phase, Partial<Record<MigrationEvent, Step>>>> = {
  // `opened` to a source that had given up: the machine is elsewhere by now.
  none: { begin: { to: 'relaying', work: 'startRelay' }, opened: depart },
  relaying: {
    begin: { to: 'relaying', work: 'startRelay' }, activate: { ...depart, tell: 'open' }, opened: depart,
    cancel: { ...takeBack, tell: 'cancelled' }, late: { ...takeBack, tell: 'cancelled' }, abandoned: takeBack,
  },
  departed: {
    activate: again.departed, opened: { to: 'departed' }, quiet: leave, abandoned: { ...takeBack, announces: true },
    cancel: { ...takeBack, tell: 'cancelled', announces: true }, late: { ...takeBack, tell: 'cancelled', announces: true },
  },
  left: { opened: again.left },
  // Without its source it is the only one there is. Whether a machine is behind it that was given up only the machine can say.
  waiting: { open, activate: open, spoke: open, gone: open, cancel: { to: 'waiting', tell: 'abandoned' }, cancelled: { to: 'waiting' } },
  arrived: { open: again.arrived, activate: again.arrived, spoke: { to: 'arrived' }, opened: { to: 'arrived' }, left: settle, gone: settle, late: settle },
};

/** What follows from the event; undefined where it cannot happen in this phase, and nothing follows. */
export function stepFrom(phase: Phase, event: MigrationEvent): Step | undefined {
  return course[phase][event];
}

/** Whether the phase is the source's. */
export function isSource(phase: Phase): boolean {
  return phase === 'relaying' || phase === 'departed' || phase === 'left';
}
