import { strict as assert } from "node:assert";
import { setTimeout as delay } from "node:timers/promises";
import { LibraryService } from "../../gen/library/v1/library_pb.ts";
import { createClient, dial, type Client } from "../../src/index.ts";

/** How calls are made. */
interface LoadOptions {
  /** Address of gRPC, where it is another one. */
  readonly grpc: string;
  /** Whether connections are used for more than one call. */
  readonly keepsConnections: boolean;
}

/** Callers of REST and gRPC, reading and writing, that call again as soon as they have a reply. */
export class Load {
  calls = 0;
  readonly failures: string[] = [];
  #isOver = false;
  readonly #lanes: readonly Promise<void>[];

  constructor(
    address: string,
    { grpc, keepsConnections }: LoadOptions = { grpc: address, keepsConnections: true },
  ) {
    const url = `http://${address}/v1/shelves`;
    const close = keepsConnections ? {} : { connection: "close" };
    const json = { "content-type": "application/json", ...close };
    const rest = async (init: RequestInit): Promise<void> => {
      const response = await fetch(url, init);
      const text = await response.text();
      if (response.status >= 300) throw new Error(`${response.status} ${text}`);
    };
    const kept = dial(grpc);
    const library = async (
      call: (client: Client<typeof LibraryService>) => Promise<unknown>,
    ): Promise<void> => {
      if (keepsConnections) return void (await call(createClient(LibraryService, kept)));
      await using transport = dial(grpc);
      await call(createClient(LibraryService, transport));
    };
    this.#lanes = [
      this.#lane("GET", () => rest({ headers: close })),
      this.#lane("POST", () => rest({ method: "POST", headers: json, body: '{"theme":"a"}' })),
      this.#lane("read", () => library((client) => client.getShelf({ name: "shelves/1" }))),
      this.#lane("write", () => library((client) => client.createShelf({ shelf: { theme: "a" } }))),
    ];
    void Promise.all(this.#lanes).finally(() => kept.close());
  }

  /** @throws Error with the calls that failed */
  check(): void {
    assert.deepEqual(this.failures.slice(0, 5), [], `${this.failures.length} of ${this.calls} calls`);
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#lanes);
  }

  async #lane(name: string, call: () => Promise<unknown>): Promise<void> {
    while (!this.#isOver) {
      await call().catch((error: unknown) => this.failures.push(`${name}: ${causeOf(error)}`));
      this.calls++;
      await delay(1);
    }
  }
}

/** The text of an error, with that of its cause: `fetch` says no more than that it failed. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? `, ${error.cause.message}` : "";
  return `${String(error)}${cause}`;
}
