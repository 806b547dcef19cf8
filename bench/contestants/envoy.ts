/**
 * Envoy with its transcoder and otherwise default settings. Arguments: its binary, the form of streams (`ndjson` or
 * `sse`), what decides on requests, and the backend's address. What decides: nothing, `authorizer` with the address of
 * one, or `tokens` with the file of the issuer's keys, which is together with a limit of requests.
 */
import { create, toBinary, type DescFile } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { readFileSync } from "node:fs";
import { BenchBooksService } from "../../gen/tsms/test/v1/bench_books_pb.ts";
import { BenchService } from "../../gen/tsms/test/v1/bench_pb.ts";
import { BenchStreamsService } from "../../gen/tsms/test/v1/bench_streams_pb.ts";
import { tokenAudience, tokenIssuer } from "../tokens.ts";
import { extension, http2Cluster, startEnvoy } from "./envoy-program.ts";
import { takePart } from "./take-part.ts";

const [binary = "", form = "", ...more] = process.argv.slice(2);
const upstream = more.at(-1) ?? "";
const [guard, what = ""] = more.slice(0, -1);
const services = [BenchService, BenchBooksService, BenchStreamsService];

const transcoder = {
  "@type": extension("filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder"),
  proto_descriptor_bin: Buffer.from(descriptors()).toString("base64"),
  services: services.map(({ typeName }) => typeName),
  print_options: form === "sse" ? { stream_sse_style_delimited: true } : { stream_newline_delimited: true },
};
const connections = {
  http_filters: [
    ...guards(),
    { name: "envoy.filters.http.grpc_json_transcoder", typed_config: transcoder },
    {
      name: "envoy.filters.http.router",
      typed_config: { "@type": extension("filters.http.router.v3.Router") },
    },
  ],
};
const { program, port } = await startEnvoy(binary, connections, [
  http2Cluster("backend", [upstream]),
  ...(guard === "authorizer" ? [http2Cluster("authorizer", [what])] : []),
]);
takePart({ port, usage: () => program.usage() });

/** The filters that decide on requests. */
function guards(): object[] {
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
