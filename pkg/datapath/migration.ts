/**
 * Endpoints that move between nodes: what a datapath does at either end, so that nobody who sends to the endpoint loses a packet.
 *
 * The source relays: each frame for the endpoint goes to the target too, whoever sent it, and so it does not matter how long the other nodes take
 * to hear of the move. Relayed frames travel between the two VTEPs as the tenant's do, on the tenant's UDP port, and with spareVni() in the place of
 * the tenant's VNI: they teach the target nothing about where their senders are. The target lets them in at the gate, which is closed: the
 * endpoint's MAC is known to be elsewhere. The first frame by which the machine says where it is opens the gate, without a process being asked; so
 * does open(). All calls can be made again, also by a process that knows nothing of an earlier one, and do no more than is missing.
 */
import type { AttachmentPort, Segment } from '../overlay/model.ts';

/** An attachment that takes part in a migration; `port.migration` says how far it is to be when the call is done. */
export interface MovingPort {
  readonly segment: Segment;
  readonly port: AttachmentPort;
  /** The tenant's other attachments on this node; what they need for migrations of their own stays. */
  readonly others: readonly AttachmentPort[];
}

/**
 * A node's part in migrations. An attachment comes to wait by attach(), with a port that says `waiting`; whoever detaches it takes all of this
 * away. For Linux bridges each of them has done its work when it returns.
 */
export interface DatapathMigration {
  /** At the source, to be `relaying`. @throws WeftError invalidConfiguration (the VNI for it is another tenant's), kernelRefused, tryAgainLater */
  startRelay(moving: MovingPort): void | Promise<void>;
  /** At the source, to be `departed`: from relaying, or from nothing where the machine has gone without a word. The machine is stopped. @throws as startRelay() */
  depart(moving: MovingPort): void | Promise<void>;
  /** At the source, to have `left`. @throws as startRelay() */
  leave(moving: MovingPort): void | Promise<void>;
  /** At the source, to be as if nothing had been: `port.migration` is absent. Nobody is told of it: see announce(). @throws as startRelay() */
  takeBack(moving: MovingPort): void | Promise<void>;
  /** At the source: how many frames have been relayed, which only grows while the relay stands. */
  countRelayed(moving: MovingPort): number | Promise<number>;
  /**
   * At the source, while it relays: gets at hand what tells the target's datapath that the machine has stopped. The returned function opens the gate there,
   * where that can be done without a process of the other node; who needs to be sure tells its daemon as well. It never throws. @throws as startRelay()
   */
  armActivation(moving: MovingPort): () => void;
  /** At the target, to have `arrived`: opens the gate, or completes what the machine has opened. @throws as startRelay() */
  open(moving: MovingPort): void | Promise<void>;
  /**
   * At the target, while it waits: gets at hand what opening needs. The returned function opens the gate to what the endpoint gets, at once and without
   * looking at anything; open() does the rest. It never throws. @throws as startRelay()
   */
  armOpening(moving: MovingPort): () => void;
  /** At the target: whether the machine has opened the gate. */
  hasOpened(moving: MovingPort): boolean | Promise<boolean>;
  /** At the target: calls the function once the machine has opened the gate, perhaps more than once, until the returned function is called. It must not throw. */
  watchOpening(moving: MovingPort, onOpened: () => void): () => void;
  /** At the target, when the source has left; `port.migration` is absent: no more relayed frames are let in. @throws as startRelay() */
  settle(moving: MovingPort): void | Promise<void>;
  /** Tells all nodes and the tenant's endpoints that the endpoint is here: RARP, and for its addresses gratuitous ARP or neighbour advertisements. Once; never throws for what the network refuses. */
  announce(moving: MovingPort): void | Promise<void>;
}
