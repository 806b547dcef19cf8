import type { Socket } from "node:net";
import type { BookedConnection } from "../../../core/call/booked-connection.ts";
import type { ConnectError } from "../../../core/errors/errors.ts";
import type { OpenSocket } from "./open-socket.ts";

/** A WebSocket in the book of a hub, from its handshake on. It leaves the book once, whatever ends it. */
export class EnteredSocket {
  readonly connection: BookedConnection;
  /** Undefined until the handshake has been answered. */
  opened: OpenSocket | undefined;
  readonly #socket: Socket;
  #isAccepted = false;

  /**
   * @param socket the connection of the handshake
   * @param enter enters it into the book; `close` closes the socket by an error
   * @throws ConnectError by which the book refuses it
   */
  constructor(socket: Socket, enter: (close: (error: ConnectError) => void) => BookedConnection) {
    this.#socket = socket;
    this.connection = enter((error) => this.#close(error));
  }

  /** The handshake is answered with 101: from now on the connection is that of the socket alone. */
  accepted(): void {
    this.#isAccepted = true;
    if (this.#socket.destroyed) this.connection.closed();
    else this.#socket.once("close", () => this.connection.closed());
  }

  /** The handshake is not answered with 101, where `accepted` was not called before. */
  refused(): void {
    if (!this.#isAccepted) this.connection.closed();
  }

  #close(error: ConnectError): void {
    if (this.opened === undefined) this.#socket.destroy();
    else this.opened.end(error);
  }
}
