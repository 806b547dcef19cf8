import { WebSocket } from "ws";

/**
 * A WebSocket that notifies its owner of the client's close frame before that is answered: until then messages can
 * still be sent, so that a protocol can use the frame as a half-close.
 */
export class PeerAwareWebSocket extends WebSocket {
  /**
   * Called once with the client's close frame; `answer` sends a close frame with the client's own code. Undefined: the
   * frame is answered at once.
   */
  onPeerClose: ((answer: () => void) => void) | undefined;

  /** Called by the owner, and by `ws` to answer the client's close frame. */
  override close(code?: number, reason?: string | Buffer): void {
    const listener = this.onPeerClose;
    this.onPeerClose = undefined;
    if (listener === undefined || this.readyState !== WebSocket.OPEN) super.close(code, reason);
    else listener(() => super.close(code, reason));
  }

  /** Sends a close frame with a code of the server. */
  closeNow(code: number, reason: string): void {
    this.onPeerClose = undefined;
    super.close(code, reason);
  }
}
