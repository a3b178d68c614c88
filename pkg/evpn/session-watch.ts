/** Tells sessions that are down from those that have not had the time to come up. Pure. */
import type { BgpSession } from '../frr/bgp-tables.ts';

/** For a session that bgpd has just been told of: to connect, to be connected to by the other side, and once more where both collide. Milliseconds. */
export const firstTimeMs = 10_000;

/** One for a listener; times are milliseconds of a clock that never goes back. */
export class SessionWatch {
  #sessions: readonly BgpSession[] = [];
  #firstSeen: ReadonlyMap<string, number> = new Map();

  /** As bgpd tells of them now; none where there is no bgpd. */
  note(sessions: readonly BgpSession[], now: number): void {
    this.#firstSeen = new Map(sessions.map(({ name }) => [name, this.#firstSeen.get(name) ?? now]));
    this.#sessions = sessions;
  }

  /** All of them. */
  get sessions(): readonly BgpSession[] {
    return this.#sessions;
  }

  /** Whether the session is down and should not be: it was up before, or has had its time. */
  isMissed({ isUp, name, sinceMs }: BgpSession, now: number): boolean {
    return !isUp && (sinceMs !== undefined || now - (this.#firstSeen.get(name) ?? now) >= firstTimeMs);
  }
}
