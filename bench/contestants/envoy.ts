/**
 * Envoy with its transcoder and otherwise default settings. Arguments: its binary, the form of streams (`ndjson` or
 * `sse`), what decides on requests, and the backend's address. What decides: nothing, `authorizer` with the address of
 * one, or `tokens` with the file of the issuer's keys, which is together with a limit of requests.
 */
import { create, toBinary, type DescFile } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { BenchBooksService } from "../../gen/tsms/test/v1/bench_books_pb.ts";
import { BenchService } from "../../gen/tsms/test/v1/bench_pb.ts";
import { BenchStreamsService } from "../../gen/tsms/test/v1/bench_streams_pb.ts";
import { tokenAudience, tokenIssuer } from "../tokens.ts";
import { ForeignProgram } from "./foreign-program.ts";
import { takePart } from "./take-part.ts";

/** How long Envoy may take to start, in milliseconds; less than the bench waits for a contestant. */
const patienceMs = 20_000;

const [binary = "", form = "", ...more] = process.argv.slice(2);
const upstream = more.at(-1) ?? "";
const [guard, what = ""] = more.slice(0, -1);
const services = [BenchService, BenchBooksService, BenchStreamsService];
const folder = mkdtempSync(join(tmpdir(), "ts-ms-envoy-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const adminFile = join(folder, "admin");

const program = new ForeignProgram(binary, [
  ...["--config-yaml", JSON.stringify(configuration()), "--admin-address-path", adminFile],
  ...["--concurrency", "1", "--disable-hot-restart", "--log-level", "error"],
]);
takePart({ port: await listeningPort(), usage: () => program.usage() });

function configuration() {
  const extension = (name: string) => `type.googleapis.com/envoy.extensions.${name}`;
  const address = (port: number) => ({ socket_address: { address: "127.0.0.1", port_value: port } });
  const transcoder = {
    "@type": extension("filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder"),
    proto_descriptor_bin: Buffer.from(descriptors()).toString("base64"),
    services: services.map(({ typeName }) => typeName),
    print_options: form === "sse" ? { stream_sse_style_delimited: true } : { stream_newline_delimited: true },
  };
  const connections = {
    "@type": extension("filters.network.http_connection_manager.v3.HttpConnectionManager"),
    stat_prefix: "rest",
    route_config: {
      virtual_hosts: [
        { name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: "backend" } }] },
      ],
    },
    http_filters: [
      ...guards(extension),
      { name: "envoy.filters.http.grpc_json_transcoder", typed_config: transcoder },
      {
        name: "envoy.filters.http.router",
        typed_config: { "@type": extension("filters.http.router.v3.Router") },
      },
    ],
  };
  const http2 = {
    "@type": extension("upstreams.http.v3.HttpProtocolOptions"),
    explicit_http_config: { http2_protocol_options: {} },
  };
  const cluster = (name: string, target: string) => ({
    name,
    type: "STATIC",
    typed_extension_protocol_options: { [http2["@type"].slice("type.googleapis.com/".length)]: http2 },
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(Number(target.split(":")[1])) } }] }],
    },
  });
  return {
    admin: { address: address(0) },
    static_resources: {
      listeners: [
        {
          name: "rest",
          address: address(0),
          filter_chains: [{ filters: [{ name: "http", typed_config: connections }] }],
        },
      ],
      clusters: [
        cluster("backend", upstream),
        ...(guard === "authorizer" ? [cluster("authorizer", what)] : []),
      ],
    },
  };
}

/** The filters that decide on requests. */
function guards(extension: (name: string) => string): object[] {
  if (guard === undefined) return [];
  const filter = (name: string, type: string, config: object) => ({
    name: `envoy.filters.http.${name}`,
    typed_config: { "@type": extension(`filters.http.${name}.v3.${type}`), ...config },
  });
  if (guard === "authorizer") {
    const grpc_service = { envoy_grpc: { cluster_name: "authorizer" }, timeout: "5s" };
    return [filter("ext_authz", "ExtAuthz", { transport_api_version: "V3", grpc_service })];
  }
  const provider = {
    issuer: tokenIssuer,
    audiences: [tokenAudience],
    local_jwks: { inline_string: readFileSync(what, "utf8") },
    jwt_cache_config: { jwt_cache_size: 10_000 }, // As many as ours remembers.
  };
  const always = { default_value: { numerator: 100, denominator: "HUNDRED" } };
  const count = 1_000_000_000;
  return [
    filter("local_ratelimit", "LocalRateLimit", {
      stat_prefix: "limit",
      token_bucket: { max_tokens: count, tokens_per_fill: count, fill_interval: "1s" },
      filter_enabled: always,
      filter_enforced: always,
    }),
    filter("jwt_authn", "JwtAuthentication", {
      providers: { bench: provider },
      rules: [{ match: { prefix: "/" }, requires: { provider_name: "bench" } }],
    }),
  ];
}

/** The services' contracts with all that they import, imports first. */
function descriptors(): Uint8Array {
  const files = new Set<DescFile>();
  const add = (file: DescFile): void => {
    if (files.has(file)) return;
    file.dependencies.forEach(add);
    files.add(file);
  };
  for (const { file } of services) add(file);
  return toBinary(
    FileDescriptorSetSchema,
    create(FileDescriptorSetSchema, { file: [...files].map(({ proto }) => proto) }),
  );
}

/**
 * Reads the port of the listener from Envoy's admin interface, which has a port of its own; the system has chosen both.
 */
async function listeningPort(): Promise<number> {
  interface Listeners {
    readonly listener_statuses?: readonly {
      readonly local_address: { readonly socket_address: { readonly port_value: number } };
    }[];
  }
  const end = performance.now() + patienceMs;
  while (performance.now() < end) {
    await pause(20);
    const admin = existsSync(adminFile) ? readFileSync(adminFile, "utf8") : "";
    if (admin === "") continue;
    const ready = await fetch(`http://${admin}/ready`);
    await ready.arrayBuffer();
    if (ready.status !== 200) continue;
    const response = await fetch(`http://${admin}/listeners?format=json`);
    const { listener_statuses: [listener] = [] } = (await response.json()) as Listeners; // As documented by Envoy.
    const port = listener?.local_address.socket_address.port_value ?? 0;
    if (port > 0) return port;
  }
  throw new Error("Envoy is not ready");
}
