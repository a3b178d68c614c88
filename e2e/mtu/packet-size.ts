/** What becomes of a packet of a size that may not be cut. */
import { execFile } from 'node:child_process';
import { inNetns } from '../../pkg/testing/command.ts';

/** `refused`: by the sender's own kernel (EMSGSIZE); `answered too big`: by ICMP on its way. */
export type Fate = 'delivered' | 'refused' | 'answered too big' | 'silence';

/** IP and ICMP, bytes (RFC 791, 792; RFC 8200, 4443). */
const headerBytes = { 4: 28, 6: 48 } as const;
const deadlineSeconds = 3;

/** Sends an echo request that is a packet of so many bytes, and says what came of it. */
export async function sendPacket(netns: string, address: string, bytes: number): Promise<Fate> {
  const size = bytes - headerBytes[address.includes(':') ? 6 : 4];
  const words = await new Promise<string>((resolve) => {
    const args = inNetns(netns, 'ping', '-n', '-c', '1', '-W', `${deadlineSeconds}`, '-s', `${size}`, '-M', 'do', address);
    execFile('ip', args, { timeout: 20_000, killSignal: 'SIGKILL', env: { ...process.env, LC_ALL: 'C' } }, (_error, stdout, stderr) => resolve(stdout + stderr));
  });
  if (/ 1 received/.test(words)) return 'delivered';
  if (/Frag needed|Packet too big/i.test(words)) return 'answered too big';
  return /message too long/i.test(words) ? 'refused' : 'silence';
}
