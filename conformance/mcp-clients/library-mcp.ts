import { mcp } from "../../src/entries/mcp.ts";
import { GrpcServer, HttpServer } from "../../src/index.ts";
import { seedLibrary } from "../../src/services/library/library-seed.ts";
import { LibraryService } from "../../src/services/library/library-service.ts";

/** The library with all of its rpcs as tools, for clients of others. */
export class LibraryMcp implements AsyncDisposable {
  readonly #grpc = new GrpcServer({ port: 0, logger: false });
  readonly #http = new HttpServer({
    port: 0,
    logger: false,
    upstream: this.#grpc,
    faces: [mcp({ name: "library", expose: "all" })],
  });

  static async start(): Promise<LibraryMcp> {
    const started = new LibraryMcp();
    const library = new LibraryService(seedLibrary());
    started.#grpc.addService(library);
    started.#http.addService(library);
    await Promise.all([started.#grpc.start(), started.#http.start()]);
    return started;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#http.address?.port}/mcp`;
  }

  /** The gRPC server, for `ts-ms mcp`. */
  get grpcTarget(): string {
    return `127.0.0.1:${this.#grpc.address?.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http.gracefulStop({ graceMs: 500 });
    await this.#grpc.gracefulStop({ graceMs: 500 });
  }
}
