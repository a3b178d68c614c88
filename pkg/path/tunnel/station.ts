/** One probe tunnel's end on this node: asks, and answers whoever asks. */
import { randomBytes } from 'node:crypto';
import type { ProbeDevice } from '../../datapath/probe-tunnels.ts';
import { addressesEqual, formatAddress, macFromAddress, type Address, type Mac } from '../../netaddr/netaddr.ts';
import { openPacketChannel, type PacketChannel, type ReceivedFrame } from '../../sys/packet-channel.ts';
import { startTimer } from '../../sys/timer.ts';
import { answerFrame, etherTypeIp4, questionFrame, readFrame, segmentedFrame, type Integrity, type Message, type OutgoingFrame } from './frame.ts';
import { PieceCollector } from './pieces.ts';

/** What is asked. */
export type Question =
  /** An IP packet of so many bytes inside the tunnel; `isLeft`: its checksum is left to the devices. */
  | { readonly kind: 'whole'; readonly packetBytes: number; readonly isLeft: boolean }
  /** A packet that the devices are to cut. */
  | { readonly kind: 'segmented'; readonly pieces: number; readonly pieceBytes: number };

/** What came back. */
export interface Reply {
  readonly integrity: Integrity;
  /** The peer's name, where it said it. */
  readonly node?: string;
  readonly milliseconds: number;
}

/** Answers in a second; more than that are a loop, or an attack. */
const answersPerSecond = 2000;
/** Questions that are out at one time. */
const openQuestionsMax = 1024;

export interface StationOptions {
  readonly device: ProbeDevice;
  /** This node's name. */
  readonly node: string;
  /** The device does not work any more. */
  readonly onFailure: (error: unknown) => void;
}

/** Works until it is closed, or its device fails. */
export class Station {
  readonly device: ProbeDevice;
  readonly #node: string;
  readonly #mac: Mac;
  readonly #channel: PacketChannel;
  /** By MAC: nobody else is answered. */
  readonly #peers: ReadonlyMap<Mac, Address>;
  readonly #pieces = new PieceCollector();
  readonly #open = new Map<string, (reply: Omit<Reply, 'milliseconds'> | undefined, from?: Mac) => void>();
  #isOpen = true;
  #answersLeft = answersPerSecond;
  #cancelRefill: (() => void) | undefined;

  /** @throws SystemCallError */
  constructor({ device, node, onFailure }: StationOptions) {
    this.device = device;
    this.#node = node;
    this.#mac = macFromAddress(device.tunnel.vtepAddress);
    this.#peers = new Map(device.tunnel.peers.map((peer) => [macFromAddress(peer), peer]));
    this.#channel = openPacketChannel({ index: device.index, etherType: etherTypeIp4, onFrame: (frame) => this.#hear(frame), onFailure: (error) => {
      this.close();
      onFailure(error);
    } });
  }

  /** Whether it still works. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  serves(peer: Address): boolean {
    return this.device.tunnel.peers.some((other) => addressesEqual(other, peer));
  }

  /**
   * Asks a peer once; undefined where no answer comes in time. @throws SystemCallError, EMSGSIZE where the packet is larger than the device's MTU;
   * RangeError for a packet that is no question
   */
  async ask(peer: Address, question: Question, deadlineMs: number): Promise<Reply | undefined> {
    if (!this.serves(peer)) throw new RangeError(`VTEP ${formatAddress(peer)} is none of this tunnel's peers`);
    if (this.#open.size >= openQuestionsMax || !this.#isOpen) return undefined;
    const nonce = randomBytes(8);
    const [to, key] = [macFromAddress(peer), nonce.toString('hex')];
    const sentAt = performance.now();
    let cancel: () => void = () => undefined;
    const answered = new Promise<Omit<Reply, 'milliseconds'> | undefined>((resolve) => {
      this.#open.set(key, (reply, from) => {
        if (from === undefined || from === to) resolve(reply);
      });
      cancel = startTimer(deadlineMs, () => resolve(undefined));
    });
    try {
      this.#send(frameOf(question, { from: this.#mac, to, nonce }));
      const reply = await answered;
      return reply && { ...reply, milliseconds: performance.now() - sentAt };
    } finally {
      cancel();
      this.#open.delete(key);
    }
  }

  /** Ends it; questions that are out stay without an answer. May be repeated. */
  close(): void {
    this.#isOpen = false;
    this.#cancelRefill?.();
    this.#channel.close();
    for (const resolve of [...this.#open.values()]) resolve(undefined);
  }

  #send({ frame, left }: OutgoingFrame): void {
    this.#channel.send(frame, left);
  }

  #hear(received: ReceivedFrame): void {
    const message = readFrame(received);
    if (message === undefined || !this.#peers.has(message.from)) return;
    const { from, nonce, integrity } = message;
    switch (message.kind) {
      case 'answer':
        this.#open.get(nonce.toString('hex'))?.({ integrity, ...(message.node === undefined ? {} : { node: message.node }) }, from);
        break;
      case 'question':
        this.#answer(message, integrity);
        break;
      case 'pieces': {
        const verdict = this.#pieces.take(message);
        if (verdict !== undefined) this.#answer(message, verdict);
      }
    }
  }

  #answer({ from, nonce, frameBytes }: Exclude<Message, { kind: 'answer' }>, integrity: Integrity): void {
    if (this.#answersLeft <= 0) return;
    this.#answersLeft -= 1;
    this.#cancelRefill ??= startTimer(1000, () => {
      this.#answersLeft = answersPerSecond;
      this.#cancelRefill = undefined;
    });
    try {
      this.#send(answerFrame({ from: this.#mac, to: from, nonce }, { integrity, node: this.#node, bytesMax: frameBytes }));
    } catch {
      // As if it had been lost on the way; of a device that is gone the channel hears by itself.
    }
  }
}

function frameOf(question: Question, ends: { readonly from: Mac; readonly to: Mac; readonly nonce: Buffer }): OutgoingFrame {
  return question.kind === 'whole' ? questionFrame(ends, question) : segmentedFrame(ends, question);
}
