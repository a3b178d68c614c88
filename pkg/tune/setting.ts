/** What there is to set, and how it is said in other tools' words. Pure. */

/** One value of the kernel's or of a device. */
export type Setting =
  /** `on` or `off`, by the kernel's name. */
  | { readonly kind: 'feature'; readonly link: string; readonly feature: string }
  /** Descriptors. */
  | { readonly kind: 'ring'; readonly link: string; readonly ring: 'rx' | 'tx' }
  /** Packets. */
  | { readonly kind: 'queueLength'; readonly link: string }
  /** The processors that work on what a receive queue brings, as a mask: `f`, `3,ffffffff`. */
  | { readonly kind: 'steering'; readonly link: string; readonly queue: string }
  /** Below net: `core`, `netdev_max_backlog`. */
  | { readonly kind: 'sysctl'; readonly parts: readonly string[] };

/** The name by which a setting is chosen on the command line. */
export function idOf(setting: Setting): string {
  switch (setting.kind) {
    case 'feature':
      return `${setting.link}/${setting.feature}`;
    case 'ring':
      return `${setting.link}/${setting.ring}-ring`;
    case 'queueLength':
      return `${setting.link}/txqueuelen`;
    case 'steering':
      return `${setting.link}/${setting.queue}/rps_cpus`;
    case 'sysctl':
      return sysctlName(setting.parts);
  }
}

/** The command that shows the present value. */
export function showCommand(setting: Setting): string {
  switch (setting.kind) {
    case 'feature':
      return `ethtool -k ${setting.link}`;
    case 'ring':
      return `ethtool -g ${setting.link}`;
    case 'queueLength':
      return `ip link show dev ${setting.link}`;
    case 'steering':
      return `cat ${steeringPath(setting)}`;
    case 'sysctl':
      return `sysctl ${sysctlName(setting.parts)}`;
  }
}

/** The command that gives it a value. */
export function setCommand(setting: Setting, value: string): string {
  switch (setting.kind) {
    case 'feature':
      return `ethtool -K ${setting.link} ${setting.feature} ${value}`;
    case 'ring':
      return `ethtool -G ${setting.link} ${setting.ring} ${value}`;
    case 'queueLength':
      return `ip link set dev ${setting.link} txqueuelen ${value}`;
    case 'steering':
      return `echo ${value} > ${steeringPath(setting)}`;
    case 'sysctl':
      return `sysctl -w '${sysctlName(setting.parts)}=${value}'`;
  }
}

/** The file of a queue's processors (Documentation/networking/scaling.rst). */
export function steeringPath({ link, queue }: { readonly link: string; readonly queue: string }): string {
  return `/sys/class/net/${link}/queues/${queue}/rps_cpus`;
}

function sysctlName(parts: readonly string[]): string {
  return ['net', ...parts].join('.');
}

/**
 * Lines that make values outlast a reboot: for /etc/sysctl.d, and for /etc/udev/rules.d, which a device is set by when it comes.
 */
export function persistentLines(values: readonly { readonly setting: Setting; readonly value: string }[]): { readonly sysctl: readonly string[]; readonly udev: readonly string[] } {
  const sysctl = values.flatMap(({ setting, value }) => (setting.kind === 'sysctl' ? [`${sysctlName(setting.parts)} = ${value}`] : []));
  const udev = values.flatMap(({ setting, value }) => (setting.kind === 'sysctl' ? [] : [udevRule(setting, value)]));
  return { sysctl, udev };
}

function udevRule(setting: Exclude<Setting, { kind: 'sysctl' }>, value: string): string {
  const match = `ACTION=="add", SUBSYSTEM=="net", NAME=="${setting.link}"`;
  if (setting.kind === 'queueLength') return `${match}, ATTR{tx_queue_len}="${value}"`;
  // udev takes no bare program names, and ethtool is in /usr/sbin or /sbin.
  return `${match}, RUN+="/bin/sh -c '${setCommand(setting, value)}'"`;
}
