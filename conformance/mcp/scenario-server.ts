import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import { mcp } from "../../src/entries/mcp.ts";
import { Code, ConnectError, GrpcServer, HttpServer, type PartialService } from "../../src/index.ts";
import type { AnyService } from "../../src/core/call/service.ts";
import { builtContract } from "../../test/support/built-contract.ts";

/** A picture of one pixel. */
const png = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==",
  "base64",
);

/** A sound of no samples. */
const wav = Buffer.from("UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=", "base64");

/** Starts a server with the rpcs that the scenarios of the suite ask for, see `scenarios.proto`. */
export async function startScenarioServer(): Promise<HttpServer> {
  const text = readFileSync(join(import.meta.dirname, "scenarios.proto"), "utf8");
  const { services, image } = builtContract({ "scenarios.proto": text });
  const [scenarios, guest] = services;
  if (scenarios === undefined || guest === undefined) throw new Error("scenarios.proto lacks a service");
  let withGuest = false;
  const implementation = {
    descriptor: scenarios,
    giveText: () => body("text/plain", "This is a simple text response for testing."),
    giveImage: () => body("image/png", png),
    giveAudio: () => body("audio/wav", wav),
    giveFile: () => body("application/pdf", "%PDF-1.7"),
    fail() {
      throw new ConnectError("This tool intentionally returns an error for testing", Code.FailedPrecondition);
    },
    async *proceed() {
      yield* [0, 50, 100].map((percent) => ({ percent }));
    },
    async *proceedUnasked() {
      yield { percent: 100 };
    },
    proceedQuietly: () => ({}),
    changeTools() {
      withGuest = !withGuest;
      http.replaceServices(withGuest ? [scenarios, guest] : [scenarios]);
      return {};
    },
    takeHeaders: () => ({}),
    readText: () => body("text/plain", "This is the content of the static text resource."),
    readBytes: () => body("image/png", png),
    readData(request: object) {
      const { id } = request as { readonly id: string }; // By the contract.
      return { id, templateTest: true, data: `Data for ID: ${id}` };
    },
  } as AnyService; // Its rpcs are known only when it runs.
  const upstream = new GrpcServer({ listen: false, logger: false });
  upstream.addService(implementation as PartialService<DescService>); // As above.
  const http = new HttpServer({
    port: 0,
    logger: false,
    upstream,
    faces: [mcp({ name: "test", expose: "marked" })],
    comments: image,
  });
  http.addService(implementation);
  await http.start();
  return http;
}

function body(contentType: string, data: Uint8Array | string): { contentType: string; data: Uint8Array } {
  return { contentType, data: Buffer.from(data) };
}
