/** One installation at a time on a node. */
import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import { WeftError } from '../errors/weft-error.ts';

/**
 * Runs the work while nobody else runs any on the same root. The lock is a name in the abstract space of unix sockets (unix(7)): with
 * the process that has it, it goes, however that ends. The space is that of the network namespace, which is the node's.
 *
 * @param root identifies what is locked
 * @throws WeftError tryAgainLater where another process has it
 */
export async function exclusively<T>(root: string, work: () => Promise<T>): Promise<T> {
  const server = createServer((connection) => connection.destroy());
  const name = `\0weft-install-${createHash('sha256').update(root).digest('hex').slice(0, 16)}`;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new WeftError('tryAgainLater', 'Another weft install or uninstall is under way on this node: wait for its end', { cause })));
    server.listen(name, resolve);
  });
  try {
    return await work();
  } finally {
    server.close();
  }
}
