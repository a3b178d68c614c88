/** What a connection may take of this node. */
export interface ChannelLimits {
  /** From the first packet until both have said who they are. */
  readonly handshakeMs: number;
  /** Without a message for so long, a connection is closed. */
  readonly silenceMs: number;
  /** Connections that others have opened and that have not authenticated yet. */
  readonly strangersMax: number;
  /** Of these, from one address, so that nobody alone keeps the others out. */
  readonly strangersPerAddressMax: number;
  readonly connectionsMax: number;
  /** Questions without an answer, on one connection and in one direction. */
  readonly questionsMax: number;
  /** Between two lines in the log about connections that were closed. */
  readonly reportMs: number;
}

export const channelLimits: ChannelLimits = {
  handshakeMs: 3000,
  silenceMs: 60_000,
  strangersMax: 64,
  strangersPerAddressMax: 16,
  connectionsMax: 256,
  questionsMax: 64,
  reportMs: 1000,
};
