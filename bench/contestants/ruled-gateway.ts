/**
 * The gateway in process with access rules. Arguments: how many of them; or `tls` or `certificate` with the folder of
 * `ca.pem`, `server.pem` and `server-key.pem`: clients have a certificate, which only the second one looks at.
 */
import { join } from "node:path";
import { createSecurity, GrpcServer, HttpServer, type HttpServerOptions } from "../../src/index.ts";
import { mtls } from "../../src/entries/auth.ts";
import { BenchService } from "../../gen/tsms/test/v1/bench_pb.ts";
import { Bench } from "./bench-service.ts";
import { takePart } from "./take-part.ts";

const [, , how = "1", folder] = process.argv;

/** Rules for rpcs of which one is there, among as many services. */
function rulesOf(count: number) {
  const others = Array.from({ length: count - 1 }, (_, at) => [
    `other${at}.v1.Other/Get`,
    { level: "deny" as const },
  ]);
  return Object.fromEntries([
    ...others,
    [`${BenchService.typeName}/Send`, { level: "public" as const }],
  ]) as Record<string, { readonly level: "deny" | "public" }>;
}

async function optionsFor(): Promise<Partial<HttpServerOptions>> {
  if (folder === undefined) {
    return { gates: (await createSecurity({ access: { rules: rulesOf(Number(how)) } })).gates };
  }
  const file = (name: string) => join(folder, `${name}.pem`);
  const tls = { cert: { file: file("server") }, key: { file: file("server-key") }, ca: { file: file("ca") } };
  const security =
    how === "certificate"
      ? await createSecurity({ auth: { mesh: mtls() }, access: { default: "authenticated" } })
      : undefined;
  return { tls: { ...tls, clientCertificates: "required" }, gates: security?.gates ?? [] };
}

const options = await optionsFor();
const bench = new Bench();
const grpc = new GrpcServer({ listen: false, gates: options.gates ?? [] }).addService(bench);
const http = new HttpServer({ ...options, port: 0, upstream: grpc }).addService(bench);
await http.start();

takePart({ port: http.address?.port ?? 0 });
