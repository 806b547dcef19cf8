/**
 * The gateway in front of a server of another process, which decides on calls before. Arguments: `authorizer` with the
 * address of one, or `tokens` with the file of the issuer's keys; and the backend's address.
 */
import { Authenticator } from "../../src/core/security/authenticator.ts";
import { jwt } from "../../src/entries/auth.ts";
import { extAuthzGate } from "../../src/entries/ext-authz.ts";
import { Limiter } from "../../src/entries/limits.ts";
import { HttpServer, type HttpServerOptions } from "../../src/index.ts";
import { BenchService } from "../../gen/tsms/test/v1/bench_pb.ts";
import { tokenAudience, tokenIssuer } from "../tokens.ts";
import { dialByChoice } from "./engine.ts";
import { takePart } from "./take-part.ts";

const [, , how = "", what = "", target = ""] = process.argv;

async function gatesFor(): Promise<HttpServerOptions["gates"]> {
  if (how === "authorizer") return [extAuthzGate(dialByChoice(what), { timeoutMs: 5_000 })];
  const bench = jwt({
    issuer: tokenIssuer,
    audiences: [tokenAudience],
    jwksFile: what,
    cacheTtlMs: 3_600_000,
  });
  const auth = await Authenticator.open({ providers: { bench } }, () => "required");
  // As Envoy counts: one bucket for all, without headers.
  const all = { key: ["global"], rate: "1000000000/1s", burst: 1_000_000_000, headers: "off" } as const;
  return [new Limiter({ all }).beforeAuthentication, auth.gate];
}

const http = new HttpServer({ port: 0, upstream: dialByChoice(target), gates: await gatesFor() });
http.addService(BenchService);
await http.start();

takePart({ port: http.address?.port ?? 0 });
