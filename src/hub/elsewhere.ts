import type { Selector } from "./connections/selector.ts";
import type { Confirmed } from "./room/confirmations.ts";
import type { Deliveries } from "./room/publication.ts";

/** How a message is confirmed on other nodes. */
export interface ConfirmAsked {
  /** With what clients confirm it. */
  readonly token: string;
  /** How long that is waited for, in milliseconds. */
  readonly timeoutMs: number;
  /** How long it is waited for what nodes say of its delivery, in milliseconds. */
  readonly answerMs: number;
}

/** What becomes of messages on the other nodes. Never rejects. */
export interface Elsewhere {
  /** Gives a message to the calls of a topic there. @param record makes the publication as it is written */
  send(
    topic: string,
    selector: Selector,
    record: () => Uint8Array,
    confirm?: ConfirmAsked,
  ): Promise<ElsewhereDelivered>;
  /** What becomes of a publication there that is published behind the call. @param room its path */
  delivered(room: string, id: string, confirm?: ConfirmAsked): Promise<ElsewhereDelivered>;
  /**
   * How many connections there have confirmed a message.
   *
   * @param sent what has become of it there
   * @param waitMs how long nodes are waited for, in milliseconds
   */
  confirmed(token: string, sent: ElsewhereDelivered, waitMs: number): Promise<Confirmed>;
}

/** What has become of a message on other nodes. */
export interface ElsewhereDelivered {
  /** Of all of them together. */
  readonly deliveries: Deliveries;
  /** Of those that have answered. */
  readonly byNode: readonly { readonly node: string; readonly deliveries: Deliveries }[];
  /** Nodes that have not answered. */
  readonly unreachable: readonly string[];
}
