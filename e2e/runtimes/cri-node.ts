/** A node whose containerd serves the CRI, with weft as its network, and its daemon. */
import { join } from 'node:path';
import type { TeardownScope } from '../../pkg/testing/netns.ts';
import { skipUnless } from '../../pkg/testing/requirements.ts';
import { createLab, type Lab } from '../harness/lab.ts';
import { startContainerd } from './containerd.ts';
import { connectCri, type CriClient } from './cri.ts';
import { createPrivateNode, skipWithoutRuntime, type PrivateNode } from './private-node.ts';
import { importSandboxImage, sandboxImage } from './sandbox-image.ts';
import { shippedFile } from './shipped-files.ts';
import type { WatchedProcess } from './watched-process.ts';

/** Where Debian has the reference plugins. containerd attaches every pod to its loopback by one of them as well. */
const referencePlugins = '/usr/lib/cni';
/** restrict_oom_score_adj: a negative one takes CAP_SYS_RESOURCE, which nested machines lack. */
const config = `
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${sandboxImage}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
`;

export interface CriNode {
  readonly lab: Lab;
  readonly host: PrivateNode;
  readonly cri: CriClient;
  readonly daemon: WatchedProcess;
}

/** Reason to skip a test that needs such a node and these reference plugins, or false. */
export function skipWithoutCri(...plugins: readonly string[]): string | false {
  return skipWithoutRuntime('containerd', 'ctr') || skipUnless({ executables: ['loopback', ...plugins].map((name) => join(referencePlugins, name)) });
}

/** Makes the node, the first of two. @param confList its only network @param plugins reference plugins that it chains */
export async function startCri(scope: TeardownScope, confList: object, plugins: readonly string[] = []): Promise<CriNode> {
  const lab = createLab(scope, { nodes: 2 });
  const host = await createPrivateNode(scope, lab.node(1));
  host.write('/etc/weft/weft.yaml', shippedFile(lab, 'weft.yaml'));
  host.write('/etc/cni/net.d/10-weft.conflist', JSON.stringify(confList));
  for (const name of ['loopback', ...plugins]) host.run('ln', '-s', join(referencePlugins, name), `/opt/cni/bin/${name}`);
  const daemon = await host.startDaemon();
  await startContainerd(host, config);
  const cri = connectCri(scope, host.path('/run/containerd/containerd.sock'), `/${host.cgroup}`);
  await importSandboxImage(host, cri);
  return { lab, host, cri, daemon };
}
