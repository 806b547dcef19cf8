import type { HandlerContext } from "../../src/core/call/context.ts";
import type { PartialService } from "../../src/core/call/service.ts";
import type { DescService } from "@bufbuild/protobuf";
import type { Page } from "playwright-core";
import { docs, type DocsOptions } from "../../src/entries/docs.ts";
import { GrpcServer, HttpServer, type HttpServerOptions } from "../../src/index.ts";
import { seedLibrary } from "../../src/services/library/library-seed.ts";
import { LibraryService } from "../../src/services/library/library-service.ts";
import { builtContract } from "./built-contract.ts";

/** A contract whose comments try to be more than text, and whose rpcs answer with much. */
const hostileProto = `
syntax = "proto3";
package hostile.v1;
import "google/api/annotations.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
import "google/api/field_behavior.proto";

// <img src=x onerror="window.ran = true"> [click](javascript:window.ran=true) </script><script>window.ran = true</script>
//
// - a list with \`code\` and [a link](https://example.com/x)
// - https://example.com/bare.
service HostileService {
  // <b>bold</b> <svg onload="window.ran=true">
  rpc Echo(Kinds) returns (Kinds) { option (google.api.http) = {post: "/v1/echo" body: "*"}; }
  // Answers with much.
  rpc Large(LargeRequest) returns (Text) { option (google.api.http) = {get: "/v1/large"}; }
  // Sends without an end.
  rpc Flood(LargeRequest) returns (stream Text) { option (google.api.http) = {get: "/v1/flood"}; }
}
message LargeRequest { int32 size = 1; }
message Text { string text = 1; }
enum Colour { COLOUR_UNSPECIFIED = 0; COLOUR_RED = 1; }
// <img src=x onerror="window.ran = true">
message Kinds {
  // <script>window.ran = true</script>
  string text = 1 [(google.api.field_behavior) = REQUIRED];
  int64 big = 2;
  double ratio = 3;
  bool yes = 4;
  bytes data = 5;
  Colour colour = 6;
  repeated string words = 7;
  map<string, int32> counts = 8;
  optional int32 maybe = 9;
  google.protobuf.Timestamp at = 10;
  google.protobuf.Duration took = 11;
  google.protobuf.FieldMask mask = 12;
  google.protobuf.Struct free = 13;
  google.protobuf.Any any = 14;
  google.protobuf.StringValue wrapped = 15;
  oneof choice { string left = 16; Text right = 17; }
  Kinds inner = 18;
  repeated Text texts = 19;
  uint32 small = 20;
}
`;

const built = builtContract({ "hostile.proto": hostileProto });

/** A server with the console, the library and `hostile.v1.HostileService`. */
export class ConsoleHost implements AsyncDisposable {
  readonly http: HttpServer;
  readonly #grpc: GrpcServer;
  /** When the last stream of `Flood` was cancelled, in milliseconds since 1970; 0 for never. */
  cancelledAt = 0;

  private constructor(options: Partial<DocsOptions>, server: Partial<HttpServerOptions>) {
    this.#grpc = new GrpcServer({ port: 0, logger: false, maxMessageBytes: 100_000_000 });
    const hostile = {
      descriptor: built.services[0],
      echo: (request: unknown) => request,
      large: ({ size }: { size: number }) => ({ text: "x".repeat(size) }),
      flood: ({ size }: { size: number }, context: HandlerContext) => this.#flood(size, context),
    } as unknown as PartialService<DescService>; // Its methods are those of the contract.
    this.http = new HttpServer({
      port: 0,
      upstream: this.#grpc,
      logger: false,
      faces: [docs(options)],
      comments: [new URL("../../gen/contract.binpb", import.meta.url), built.image],
      ...server,
    });
    const library = new LibraryService(seedLibrary());
    this.#grpc.addService(library).addService(hostile);
    this.http.addService(library).addService(hostile);
  }

  static async start(
    options: Partial<DocsOptions> = {},
    server: Partial<HttpServerOptions> = {},
  ): Promise<ConsoleHost> {
    const host = new ConsoleHost(options, server);
    await host.#grpc.start();
    await host.http.start();
    return host;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.http.address?.port}`;
  }

  /** About 10,000 messages a second, or one every 10 ms for another size than 0. */
  async *#flood(size: number, context: HandlerContext): AsyncGenerator<{ text: string }> {
    context.signal.addEventListener("abort", () => {
      this.cancelledAt = Date.now();
    });
    const atOnce = size === 0 ? 100 : 1;
    for (let count = 0; ; count += atOnce) {
      for (let at = 0; at < atOnce; at++) yield { text: `message ${count + at} with some words in it` };
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.http.gracefulStop({ graceMs: 0 });
    await this.#grpc.gracefulStop({ graceMs: 0 });
  }
}

/** Waits until the answer of the call that is shown has ended. @returns the name of its code */
export async function endOfCall(page: Page): Promise<string> {
  const code = page.locator(".answer .status-line .code");
  await code.waitFor();
  return (await code.textContent()) ?? "";
}
