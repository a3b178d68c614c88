/** When the calling thread gets a processor. */
import { setScheduler } from './libc.ts';

// include/uapi/linux/sched.h
const other = 0;
const roundRobin = 2;
/** Neither processes nor threads that this one makes have it. */
const resetOnFork = 0x40000000;
/** The lowest of the real-time priorities: kernel threads and others that have one are not behind this one. */
const lowestPriority = 1;

/**
 * Puts the calling thread before all that have no real-time priority, or back among them. The kernel leaves the others a twentieth of the time
 * in any case (sched(7), sched_rt_runtime_us). @throws SystemCallError EPERM without CAP_SYS_NICE
 */
export function setRealTime(isRealTime: boolean): void {
  if (isRealTime) setScheduler(roundRobin | resetOnFork, lowestPriority);
  else setScheduler(other, 0);
}
