import { WebSocket } from "ws";

/**
 * A WebSocket whose owner hears of the client's close frame before it is answered: until then messages can still be
 * sent, which makes the frame a half-close where a protocol wants one.
 */
export class PeerAwareWebSocket extends WebSocket {
  /** Hears of the close frame, once; `answer` sends ours with the client's own code. Answered at once without it. */
  onPeerClose: ((answer: () => void) => void) | undefined;

  /** Called by the engine for the client's close frame, and by the owner; the engine answers frames by this alone. */
  override close(code?: number, reason?: string | Buffer): void {
    const listener = this.onPeerClose;
    this.onPeerClose = undefined;
    if (listener === undefined || this.readyState !== WebSocket.OPEN) super.close(code, reason);
    else listener(() => super.close(code, reason));
  }

  /** Sends a close frame of our own. */
  closeNow(code: number, reason: string): void {
    this.onPeerClose = undefined;
    super.close(code, reason);
  }
}
