import t from 'tap';
import type { BgpSession } from '../frr/bgp-tables.ts';
import { SessionWatch } from './session-watch.ts';

const session = (name: string, changes: Partial<BgpSession> = {}): BgpSession => ({ name, as: 65000, state: 'Active', isUp: false, prefixesReceived: 0, prefixesSent: 0, establishedCount: 0, ...changes });
const up = session('192.0.2.2', { isUp: true, sinceMs: 1000 });
const never = session('192.0.2.3');
const lost = session('192.0.2.2', { sinceMs: 10 });

const watch = new SessionWatch();
watch.note([up, never], 1000);
t.equal(watch.isMissed(up, 50_000), false, 'it is up');
t.equal(watch.isMissed(never, 10_999), false, 'it may still come up');
t.equal(watch.isMissed(never, 11_000), true, 'it has had its time');
t.equal(watch.isMissed(lost, 1001), true, 'it was up and is no more');
t.equal(watch.isMissed(session('192.0.2.9'), 90_000), false, 'one that bgpd does not know yet');
watch.note([up, never], 20_000);
t.equal(watch.isMissed(never, 20_000), true, 'the time counts from the first look');
watch.note([], 21_000);
watch.note([never], 22_000);
t.equal(watch.isMissed(never, 31_999), false, 'of a bgpd that has started anew it counts again');
t.same(watch.sessions, [never]);
