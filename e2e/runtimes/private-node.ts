/**
 * A node of the lab on which real runtimes run at their own paths: a network namespace (the lab's), with a mount
 * namespace in which /etc/cni/net.d, /opt/cni/bin, /var/lib/weft and the like are the test's own, and a process
 * namespace whose end is the end of every daemon, shim and container in it.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run } from '../../pkg/testing/command.ts';
import { undoAtExit } from '../../pkg/testing/exit-cleanup.ts';
import { netnsPath, uniqueName, type TeardownScope } from '../../pkg/testing/netns.ts';
import type { LabNode } from '../harness/lab-node.ts';
import { launcherExecutable, skipWithoutDaemonLab, weftExecutable } from '../harness/weft-executable.ts';
import { removeCgroups } from './cgroups.ts';
import { WatchedProcess } from './watched-process.ts';

/** The root directory of every container, as the node's processes name it. */
export const rootfs = '/run/rootfs';
/** What a service is started with: nothing of the environment the tests run in. */
const environment = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root'];

/** Reason to skip a test that needs a private node and these runtimes' programs, or false. */
export function skipWithoutRuntime(...tools: readonly string[]): string | false {
  return skipWithoutDaemonLab('nsenter', 'unshare', 'busybox', 'runc', ...tools);
}

/** The node. Its lifetime is its scope's. */
export class PrivateNode {
  readonly node: LabNode;
  /** The control group to put containers under, a name no other test uses. */
  readonly cgroup: string;
  /** Of the node's first process, as the machine counts. */
  readonly pid: number;

  constructor(node: LabNode, cgroup: string, pid: number) {
    this.node = node;
    this.cgroup = cgroup;
    this.pid = pid;
  }

  /** Runs a program on the node to its end. @returns its stdout @throws Error as run() does */
  run(...command: readonly string[]): string {
    return run('nsenter', this.#enter(command));
  }

  /** Starts a program on the node; it ends with the node at the latest. */
  start(...command: readonly string[]): WatchedProcess {
    const child = spawn('nsenter', this.#enter(command), { stdio: ['ignore', 'pipe', 'pipe'] });
    return new WatchedProcess(command.join(' '), child);
  }

  /** Starts weft's daemon, at its own paths, and waits until it answers calls. @param flags behind `daemon` */
  async startDaemon(...flags: readonly string[]): Promise<WatchedProcess> {
    const daemon = this.start('/usr/local/bin/weft', 'daemon', ...flags);
    await daemon.heard(/the daemon answers calls/);
    return daemon;
  }

  /** A path of the node's, as the machine's other processes name it. */
  path(inside: string): string {
    return join(`/proc/${this.pid}/root`, inside);
  }

  /** Writes a file of the node's, with the directories above it. */
  write(inside: string, text: string): void {
    mkdirSync(dirname(this.path(inside)), { recursive: true });
    writeFileSync(this.path(inside), text);
  }

  /**
   * Gives the network namespace of a process of the node a name for the scope's time, so that the harness can look into it.
   * @param pid as the node's processes count
   */
  nameNetns(scope: TeardownScope, pid: number, label: string): string {
    const name = uniqueName(label);
    const path = netnsPath(name);
    writeFileSync(path, '');
    run('mount', ['--bind', this.path(`/proc/${pid}/ns/net`), path]);
    const remove = (): void => void run('ip', ['netns', 'del', name]);
    const forget = undoAtExit(remove);
    scope.teardown(() => {
      forget();
      remove();
    });
    return name;
  }

  #enter(command: readonly string[]): readonly string[] {
    // Not by `ip netns exec`: that mounts a /sys without control groups.
    return [`--target=${this.pid}`, '--mount', '--pid', '--net', 'env', '-i', ...environment, ...command];
  }
}

/** Makes a node of the lab a private one, with weft installed; it is gone, with all that runs on it, with the scope. */
export async function createPrivateNode(scope: TeardownScope, node: LabNode): Promise<PrivateNode> {
  const cgroup = uniqueName('cgroup');
  const script = join(import.meta.dirname, 'private-node.sh');
  const unshare = ['unshare', '--mount', '--pid', '--fork', '--kill-child=SIGKILL', script, weftExecutable, launcherExecutable];
  // The pipe to its stdin is a leash: it breaks with this process even when that is killed.
  const child = spawn('nsenter', [`--net=${netnsPath(node.netns)}`, ...unshare], { stdio: 'pipe' });
  const first = new WatchedProcess('private-node.sh', child);
  const pid = Number((await first.heard(/^ready (\d+)$/m))[1]);
  const end = (): void => {
    // While unshare lives the number is its child's and nobody else's.
    if (child.exitCode === null && child.signalCode === null) endProcesses(pid);
    removeCgroups(cgroup);
  };
  const forget = undoAtExit(() => quietly(end));
  scope.teardown(async () => {
    forget();
    end();
    await first.ended;
  });
  return new PrivateNode(node, cgroup, pid);
}

/** Ends the first process of a process namespace, which the kernel lets end only after all others (pid_namespaces(7)). */
function endProcesses(pid: number): void {
  // A terminal's interrupt goes to unshare as well: then all of them are about to end, or have.
  quietly(() => process.kill(pid, 'SIGKILL'));
  run('tail', [`--pid=${pid}`, '--sleep-interval=0.05', '-f', '/dev/null']);
}

function quietly(undo: () => void): void {
  try {
    undo();
  } catch {
    // What was to be undone has gone by itself, or this process ends and nobody is left to be told.
  }
}
