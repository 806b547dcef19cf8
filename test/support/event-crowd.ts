import { connect, type Socket } from "node:net";

/** Connections that are opened at a time: fewer than wait for a listener to accept them. */
const atOnce = 100;

/** Clients of server-sent events that come at the same time. */
export class EventClient {
  /** Everything that has come. */
  text = "";
  /** When its stream has ended, in milliseconds; undefined while it has not. */
  endedMs: number | undefined;
  readonly #socket: Socket;
  readonly #changed: () => void;

  private constructor(port: number, path: string, after: string | undefined, changed: () => void) {
    this.#changed = changed;
    const resumes = after === undefined ? "" : `last-event-id: ${after}\r\n`;
    const socket = (this.#socket = connect(port, "127.0.0.1"));
    socket.write(`GET ${path} HTTP/1.1\r\nhost: a\r\naccept: text/event-stream\r\n${resumes}\r\n`);
    socket.setEncoding("latin1").on("data", (text: string) => this.#read(text));
    socket.on("error", () => {});
    socket.on("close", () => this.#end());
  }

  /**
   * Opens many; resolves when all are connected.
   *
   * @param of path and position of each
   * @param changed called whenever something has come, or ended
   */
  static async open(
    port: number,
    count: number,
    of: (place: number) => readonly [path: string, after?: string | undefined],
    changed: (client: EventClient) => void = () => {},
  ): Promise<EventClient[]> {
    const all: EventClient[] = [];
    while (all.length < count) {
      const connected: Promise<void>[] = [];
      for (let i = Math.min(atOnce, count - all.length); i > 0; i--) {
        const [path, after] = of(all.length);
        const client: EventClient = new EventClient(port, path, after, () => changed(client));
        all.push(client);
        connected.push(new Promise((resolve) => client.#socket.once("connect", () => resolve())));
      }
      await Promise.all(connected);
    }
    return all;
  }

  /** How many events with data have come. */
  get events(): number {
    return this.text.split("\ndata: ").length - 1;
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(text: string): void {
    this.text += text;
    if (text.endsWith("0\r\n\r\n")) this.#end();
    this.#changed();
  }

  #end(): void {
    if (this.endedMs !== undefined) return;
    this.endedMs = performance.now();
    this.#changed();
  }
}
