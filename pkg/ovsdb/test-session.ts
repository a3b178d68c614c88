/** Sessions for tests. */
import type { TeardownScope } from '../testing/netns.ts';
import { startOpenVSwitch, type OpenVSwitch } from '../testing/openvswitch.ts';
import { openSession, type OvsdbSession, type SessionOptions, type SessionState } from './session.ts';
import { switchDatabaseName } from './switch-database.ts';

/** Only what hangs takes as long, in milliseconds. */
export const deadlineMs = 15_000;

/** A session that is connected, and ends with the scope. */
export async function openTestSession(scope: TeardownScope, path: string, options: Partial<SessionOptions> = {}): Promise<OvsdbSession> {
  const session = openSession({ path, database: switchDatabaseName, ...options });
  scope.teardown(() => session.close());
  await session.whenConnected({ deadlineMs });
  return session;
}

/** The next so many changes of a session's state, once there are as many. */
export function collectStates(session: OvsdbSession, count: number): Promise<readonly SessionState[]> {
  const states: SessionState[] = [];
  return new Promise((resolve) => {
    const stop = session.onStateChange((state) => {
      if (states.push(state) < count) return;
      stop();
      resolve(states);
    });
  });
}

/** A database of Open vSwitch without the switch that would act on it. */
export async function startDatabase(scope: TeardownScope): Promise<OpenVSwitch> {
  const openVSwitch = await startOpenVSwitch(scope);
  await openVSwitch.kill('ovs-vswitchd');
  return openVSwitch;
}
