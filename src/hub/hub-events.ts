import { notify } from "../core/call/observer.ts";
import type { CloseReason, Connection } from "./connections/connection.ts";
import type { ResetReason } from "./room/resets.ts";

/** What listeners of a hub are told. */
export interface HubEvents {
  /** A connection has opened. The user of a WebSocket may not be known yet. */
  readonly connected: { readonly connection: Connection };
  /** A connection is no more. */
  readonly disconnected: { readonly connection: Connection; readonly reason: CloseReason };
  /** A call of a connection is in a room. */
  readonly joined: { readonly connection: Connection; readonly room: string };
  /** A call of a connection has left a room. */
  readonly left: { readonly connection: Connection; readonly room: string };
  /** A call of a connection has missed publications of a room, and was told so. */
  readonly reset: { readonly connection: Connection; readonly room: string; readonly reason: ResetReason };
  /** This process reaches the bus no longer, or again. */
  readonly bus: { readonly name: string; readonly isUp: boolean };
}

type Listener<E> = (event: E) => void;

/** The listeners of a hub. What they throw becomes a warning of the process and changes nothing. */
export class HubListeners {
  readonly #listeners = new Map<keyof HubEvents, readonly Listener<never>[]>();

  /** @returns a function that unsubscribes */
  on<E extends keyof HubEvents>(event: E, listener: Listener<HubEvents[E]>): () => void {
    const own: Listener<HubEvents[E]> = (value) => listener(value); // One that is given twice is told twice.
    this.#listeners.set(event, [...this.#of(event), own]);
    return () => {
      this.#listeners.set(
        event,
        this.#of(event).filter((other) => other !== own),
      );
    };
  }

  /** @param make makes the event, if there is a listener */
  emit<E extends keyof HubEvents>(event: E, make: () => HubEvents[E]): void {
    const listeners = this.#of(event);
    if (listeners.length === 0) return;
    const value = make();
    notify(listeners, (listener) => listener(value));
  }

  #of<E extends keyof HubEvents>(event: E): readonly Listener<HubEvents[E]>[] {
    return (this.#listeners.get(event) ?? []) as readonly Listener<HubEvents[E]>[]; // As `on` has stored them.
  }
}
