/** The image that containerd makes sandboxes of, put together on the node: no registry is asked. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { CriClient } from './cri.ts';
import { rootfs, type PrivateNode } from './private-node.ts';

/** The name that containerd's configuration has. */
export const sandboxImage = 'weft.test/sandbox:1';
const directory = '/run/sandbox-image';
/** containerd's CRI plugin hears of an image by an event, a moment after it was imported. */
const attempts = 100;

/** Makes the image out of the containers' root directory, and waits until the CRI has it. @throws Error where it does not come */
export async function importSandboxImage(host: PrivateNode, cri: CriClient): Promise<void> {
  host.run('mkdir', directory);
  host.run('tar', '-C', rootfs, '-cf', `${directory}/layer.tar`, '.');
  const layer = createHash('sha256').update(readFileSync(host.path(`${directory}/layer.tar`))).digest('hex');
  const config = {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: { Cmd: ['/bin/sleep', 'infinity'] },
    rootfs: { type: 'layers', diff_ids: [`sha256:${layer}`] },
  };
  const manifest = [{ Config: 'config.json', RepoTags: [sandboxImage], Layers: ['layer.tar'] }];
  host.write(`${directory}/config.json`, JSON.stringify(config));
  host.write(`${directory}/manifest.json`, JSON.stringify(manifest));
  host.run('tar', '-C', directory, '-cf', '/run/sandbox-image.tar', 'manifest.json', 'config.json', 'layer.tar');
  host.run('ctr', '--namespace', 'k8s.io', 'image', 'import', '--all-platforms', '--no-unpack', '/run/sandbox-image.tar');
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    if (await cri.hasImage(sandboxImage)) return;
    await delay(100);
  }
  throw new Error(`the CRI does not see ${sandboxImage}`);
}
