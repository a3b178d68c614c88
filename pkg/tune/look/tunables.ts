/** Reads settings from the kernel and the devices, and gives them values. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { readFeatures, setFeature } from '../../sys/ethtool-features.ts';
import { readRings, setRing } from '../../sys/ethtool-rings.ts';
import { readQueueLength, setQueueLength } from '../../sys/queue-length.ts';
import { readSysctl, setSysctl } from '../../sys/sysctl.ts';
import type { TunableLink, TuneFacts } from '../plan.ts';
import { steeringPath, type Setting } from '../setting.ts';

/** A link of this network namespace. */
export interface LinkName {
  readonly name: string;
  readonly index: number;
}

/** What is known of this node. @throws SystemCallError ENODEV where a link has gone meanwhile */
export function lookAtTunables(links: readonly LinkName[], neighbours: number): TuneFacts {
  return { links: links.map(lookAtLink), cpus: availableParallelism(), sysctl: readSysctl, neighbours };
}

function lookAtLink({ name, index }: LinkName): TunableLink {
  return { name, features: readFeatures(name), rings: readRings(name), queueLength: readQueueLength(name), steering: readSteering({ name, index }) };
}

/** /sys shows the devices of the namespace it was mounted in: another one's of the same name must not pass for this one. */
function readSteering({ name, index }: LinkName): TunableLink['steering'] {
  try {
    if (Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8')) !== index) return [];
    const queues = readdirSync(`/sys/class/net/${name}/queues`).filter((queue) => queue.startsWith('rx-')).sort((a, b) => Number(a.slice(3)) - Number(b.slice(3)));
    return queues.map((queue) => ({ queue, mask: readFileSync(steeringPath({ link: name, queue }), 'utf8').trim() }));
  } catch {
    return []; // No sysfs, or a kernel without CONFIG_RPS.
  }
}

/** The value as it is; undefined where there is none. @throws SystemCallError */
export function readSetting(setting: Setting): string | undefined {
  switch (setting.kind) {
    case 'feature': {
      const feature = readFeatures(setting.link).get(setting.feature);
      return feature === undefined ? undefined : feature.on ? 'on' : 'off';
    }
    case 'ring': {
      const size = readRings(setting.link)?.[setting.ring].now;
      return size === undefined ? undefined : String(size);
    }
    case 'queueLength':
      return String(readQueueLength(setting.link));
    case 'steering':
      return readFileSync(steeringPath(setting), 'utf8').trim();
    case 'sysctl':
      return readSysctl(setting.parts)?.split(/\s+/).join(' ');
  }
}

/** Gives it a value; the kernel may take it without doing so. @throws SystemCallError, WeftError, or what the file system says */
export function writeSetting(setting: Setting, value: string): void {
  switch (setting.kind) {
    case 'feature':
      return setFeature(setting.link, setting.feature, value === 'on');
    case 'ring':
      return setRing(setting.link, setting.ring, Number(value));
    case 'queueLength':
      return setQueueLength(setting.link, Number(value));
    case 'steering':
      return writeFileSync(steeringPath(setting), value);
    case 'sysctl':
      return setSysctl(setting.parts, value);
  }
}
