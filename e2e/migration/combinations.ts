/** Which courses there are: for the table in docs/ all of them, 50 migrations each, and for the test suite fewer. */
import type { DatapathName } from '../harness/lab-node.ts';
import type { CourseOptions } from './course.ts';
import type { Goal } from './figures.ts';
import type { ControlPlane } from './scene.ts';

/** What carries the machine: weft, weft as if it knew nothing of migrations, or the kernel's bridges by hand, which learn. */
export type CarrierKind = 'weft' | 'weft, by DEL and ADD' | 'bridges by hand';

/** Where courses take place. */
export interface Place {
  readonly carrier: CarrierKind;
  readonly datapath: DatapathName;
  readonly controlPlane: ControlPlane;
}

export interface Combination {
  readonly title: string;
  readonly place: Place;
  readonly course: Omit<CourseOptions, 'migrations'>;
  /** Migrations in a run of the test suite, whose time is limited; 0: none. */
  readonly inSuite: number;
  /** Migrations for the table. */
  readonly inTable: number;
  /** Absent: a baseline, which is only printed. */
  readonly goal?: Goal;
}

type Course = Combination['course'];

const places: readonly Place[] = (['bridge', 'ovs'] as const).flatMap((datapath) => (['static', 'evpn'] as const).map((controlPlane): Place => ({ carrier: 'weft', datapath, controlPlane })));
const firstPacketMs: Readonly<Record<DatapathName, number>> = { bridge: 2, ovs: 30 };
/** What titles call them. */
const hows = { stop: 'STOP', rarp: 'RARP', garp: 'gratuitous ARP', na: 'unsolicited NA', silent: 'told afterwards', nothing: 'nothing said' } as const;
/** A baseline is not waited for any longer. */
const patienceMs = 10_000;

/** What is run everywhere, and how often in the suite, whose courses take four minutes together: with Linux bridges and static peers, and elsewhere. */
const everywhere: readonly (readonly [course: Course, main: number, elsewhere: number])[] = [
  [{ machine: 'tap', how: 'stop', pauseMs: 50 }, 20, 2],
  [{ machine: 'veth', how: 'rarp', pauseMs: 0 }, 20, 2],
  [{ machine: 'veth', how: 'stop', pauseMs: 0 }, 0, 0],
  [{ machine: 'tap', how: 'stop', pauseMs: 200 }, 0, 0],
  [{ machine: 'tap', how: 'rarp', pauseMs: 50 }, 2, 0],
  [{ machine: 'tap', how: 'rarp', pauseMs: 200 }, 0, 0],
  [{ machine: 'veth', how: 'stop', pauseMs: 0, rateHz: 0, streams: ['push', 'pull', 'ask'] }, 2, 2],
  [{ machine: 'veth', how: 'rarp', pauseMs: 0, rateHz: 0, streams: ['push', 'pull', 'ask'] }, 2, 0],
];

/** What is run with Linux bridges and static peers only. */
const onBridges: readonly (readonly [course: Course, suite: number])[] = [
  [{ machine: 'veth', how: 'garp', pauseMs: 0 }, 2],
  [{ machine: 'veth', how: 'na', pauseMs: 0 }, 2],
  [{ machine: 'tap', how: 'silent', pauseMs: 50 }, 2],
  [{ machine: 'bridged-tap', how: 'stop', pauseMs: 50 }, 2],
  [{ machine: 'tap', how: 'stop', pauseMs: 50, rateHz: 10_000, families: [4] }, 0],
  [{ machine: 'veth', how: 'rarp', pauseMs: 0, rateHz: 10_000, families: [6] }, 0],
];

/** What the same move costs where nobody does anything for it; the kernel's own bridges have no IPv6 there, which would speak for the machine. */
const baselines: readonly Combination[] = [
  baseline('bridges by hand', { machine: 'veth', how: 'nothing', pauseMs: 0, families: [4], patienceMs }, 3),
  baseline('bridges by hand', { machine: 'veth', how: 'rarp', pauseMs: 0, families: [4], patienceMs }, 10),
  baseline('weft, by DEL and ADD', { machine: 'veth', how: 'nothing', pauseMs: 0, patienceMs }, 3),
  baseline('weft, by DEL and ADD', { machine: 'veth', how: 'rarp', pauseMs: 0, patienceMs }, 10),
];

const [main] = places;

/** All of them; those of one place follow each other. */
export const combinations: readonly Combination[] = [
  ...baselines,
  ...places.flatMap((place) => [
    ...everywhere.map(([course, suite, elsewhere]) => combination(place, course, place === main ? suite : elsewhere)),
    ...(place === main ? onBridges.map(([course, suite]) => combination(place, course, suite)) : []),
  ]),
];

function combination(place: Place, course: Course, inSuite: number): Combination {
  const how = course.how === 'stop' ? 'stop' : course.how === 'silent' ? 'told afterwards' : 'announcement';
  const goal: Goal = { how, rateHz: course.rateHz ?? 1000, pauseMs: course.pauseMs, firstPacketMs: firstPacketMs[place.datapath] };
  return { title: `${placeTitle(place)}: ${courseTitle(course)}`, place, course, inSuite, inTable: 50, goal };
}

function baseline(carrier: CarrierKind, course: Course, inTable: number): Combination {
  return { title: `${carrier}: ${courseTitle(course)}`, place: { carrier, datapath: 'bridge', controlPlane: 'static' }, course, inSuite: 1, inTable };
}

function placeTitle({ datapath, controlPlane }: Place): string {
  return `${datapath}, ${controlPlane}`;
}

function courseTitle({ machine, how, pauseMs, rateHz = 1000, families = [4, 6], streams = [] }: Course): string {
  const traffic = streams.length > 0 ? 'TCP' : `${rateHz / 1000} kHz`;
  const only = families.length === 1 ? `, IPv${families[0]}` : '';
  return `${machine}, ${hows[how]}, pause ${pauseMs} ms, ${traffic}${only}`;
}
