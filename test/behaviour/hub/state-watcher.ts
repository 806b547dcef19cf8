import { createClient } from "@connectrpc/connect";
import { type FollowStateResponse, LiveService } from "../../../gen/tsms/test/v1/live_pb.ts";
import { toCallError } from "../../../src/core/errors/errors.ts";
import { dial } from "../../../src/core/dial.ts";
import { within } from "../websocket/socket-client.ts";

/** A member of a room of the topic `state` by gRPC: what it has got; a reset is `reset`. */
export class StateWatcher {
  readonly got: string[] = [];
  readonly #leaving = new AbortController();
  /** Whether it is in the room, or was refused. */
  readonly settled: Promise<"joined" | "refused">;
  #settle: (how: "joined" | "refused") => void = () => {};
  #wake = (): void => {};

  constructor({ grpcAddress }: { readonly grpcAddress: string }, room: string) {
    this.settled = new Promise((resolve) => (this.#settle = resolve));
    const client = createClient(LiveService, dial(grpcAddress));
    const { signal } = this.#leaving;
    void this.#read(client.followState({ room }, { signal, onHeader: () => this.#settle("joined") }));
  }

  leave(): void {
    this.#leaving.abort();
  }

  /** Resolves as soon as it has got something. */
  async has(text: string): Promise<void> {
    const waiting = (async () => {
      while (!this.got.includes(text)) await new Promise<void>((resolve) => (this.#wake = resolve));
    })();
    await within(waiting, `${text} behind ${this.got.slice(-3).join()}`);
  }

  async #read(replies: AsyncIterable<FollowStateResponse>): Promise<void> {
    try {
      for await (const { event } of replies) {
        this.got.push(event.case === "text" ? event.value : String(event.case));
        this.#wake();
      }
    } catch (reason) {
      this.got.push(`ended ${toCallError(reason).code}`);
      this.#settle("refused");
    }
  }
}
