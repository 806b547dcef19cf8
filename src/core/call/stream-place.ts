/** Where a stream stands whose client may go on from there later. Positions are texts that the server alone reads. */
export interface StreamPlace {
  /** The position behind the last message that was given to the reader of the stream; undefined for a stream without. */
  positionText(): string | undefined;
  /** The same; undefined too while the reader has not asked for more, so that the message may not be sent yet. */
  settledText(): string | undefined;
  /**
   * The client has handled everything up to a position. Default: the stream acknowledges nothing.
   *
   * @throws ConnectError INVALID_ARGUMENT for what is no position of the stream, FAILED_PRECONDITION for one behind what
   *   was sent
   */
  ack?(position: string): void;
}
