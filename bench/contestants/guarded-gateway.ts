/**
 * The gateway in process with authentication by JWT. Arguments: `remembered`, `new` (no token is remembered), `jose` (a
 * gate that calls jose and nothing else) or `off`; and the file of the issuer's keys.
 */
import { readFileSync } from "node:fs";
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from "jose";
import { Authenticator } from "../../src/core/security/authenticator.ts";
import type { Gate } from "../../src/core/admission/gate.ts";
import { jwt } from "../../src/entries/auth.ts";
import { GrpcServer, HttpServer } from "../../src/index.ts";
import { tokenAudience, tokenIssuer } from "../tokens.ts";
import { Bench } from "./bench-service.ts";
import { takePart } from "./take-part.ts";

const [, , mode = "off", jwksFile = ""] = process.argv;

async function gatesOf(): Promise<readonly Gate[]> {
  if (mode === "off") return [];
  if (mode === "jose") return [joseAlone()];
  const options = { issuer: tokenIssuer, audiences: [tokenAudience], jwksFile };
  const provider = jwt({ ...options, cacheTtlMs: mode === "new" ? 0 : 3_600_000, clockSkewMs: 0 });
  const auth = await Authenticator.open({ providers: { bench: provider } }, () => "required");
  return [auth.gate];
}

function joseAlone(): Gate {
  const keys = createLocalJWKSet(JSON.parse(readFileSync(jwksFile, "utf8")) as JSONWebKeySet); // As it was written.
  const rules = { issuer: tokenIssuer, audience: tokenAudience, algorithms: ["RS256"] };
  return {
    name: "jose",
    admit: async (call) => void (await jwtVerify((call.header("authorization") ?? "").slice(7), keys, rules)),
  };
}

const gates = await gatesOf();
const bench = new Bench();
const grpc = new GrpcServer({ port: 0, gates }).addService(bench);
const http = new HttpServer({ port: 0, upstream: grpc, gates }).addService(bench);
await grpc.start();
await http.start();

takePart({ port: http.address?.port ?? 0 });
