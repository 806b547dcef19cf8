/** Where a stream stands whose client may go on from there later. Positions are texts that the server alone reads. */
export interface StreamPlace {
  /** The position behind the last message that was given to the reader of the stream; undefined for a stream without. */
  positionText(): string | undefined;
  /** The same; undefined too while the reader has not asked for more, so that the message may not be sent yet. */
  settledText(): string | undefined;
}
