import { clone, create, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { readFileSync } from "node:fs";
import { NodeSchema, type Node } from "../../../../gen/envoy/config/core/v3/base_pb.ts";
import { SetupError } from "../../errors/setup-error.ts";
import type { ClientTls } from "../../net/client-tls.ts";
import { parseTarget } from "../../net/target.ts";

/** What says where the control plane is: gRPC's bootstrap, as an object or as JSON. */
export interface XdsOptions {
  /** Default: the file that the variable `GRPC_XDS_BOOTSTRAP` names, else the JSON of `GRPC_XDS_BOOTSTRAP_CONFIG`. */
  readonly bootstrap?: string | object;
}

/** A control plane, and who asks it. */
export interface Bootstrap {
  /** `host:port` or `unix:/path`. */
  readonly server: string;
  readonly tls: false | true | ClientTls;
  readonly node: Node;
  /** Whether resources are no longer used once the control plane has deleted them, or sends bad ones (gRFC A88). */
  readonly failsOnDataErrors: boolean;
  /** Name of the listener of a target, with `%s` for the target. */
  readonly listenerTemplate: string;
  /** The same for the same bootstrap. */
  readonly key: string;
}

type Members = Readonly<Record<string, unknown>>;

/** @throws SetupError if there is no bootstrap, or naming what is wrong in it */
export function readBootstrap({ bootstrap }: XdsOptions = {}): Bootstrap {
  const [source, json] = bootstrapJson(bootstrap);
  const wrong = (text: string): SetupError => new SetupError(`xds: ${source}: ${text}`);
  if (typeof json !== "object" || json === null) throw wrong("the bootstrap must be an object");
  const members = json as Members;
  const servers = members["xds_servers"];
  const server = Array.isArray(servers) ? (servers[0] as Members | undefined) : undefined;
  const uri = server?.["server_uri"];
  if (typeof uri !== "string" || uri === "") throw wrong("xds_servers must have one with server_uri");
  const target = uri.replace(/^dns:(?:\/\/\/)?/, "");
  try {
    parseTarget(target);
  } catch (error) {
    throw wrong(`server_uri: ${error instanceof Error ? error.message : String(error)}`);
  }
  const template = members["client_default_listener_resource_name_template"];
  if (template !== undefined && (typeof template !== "string" || !template.includes("%s"))) {
    throw wrong("client_default_listener_resource_name_template must hold %s");
  }
  const features = server?.["server_features"];
  return {
    server: target,
    tls: tlsOf(server?.["channel_creds"], wrong),
    node: nodeOf(members["node"], wrong),
    failsOnDataErrors: Array.isArray(features) && features.includes("fail_on_data_errors"),
    listenerTemplate: template ?? "%s",
    key: JSON.stringify(json),
  };
}

function bootstrapJson(given: string | object | undefined): [source: string, json: unknown] {
  if (typeof given === "object") return ["the option bootstrap", given];
  if (given !== undefined) return ["the option bootstrap", parse("the option bootstrap", given)];
  const file = process.env["GRPC_XDS_BOOTSTRAP"];
  if (file !== undefined && file !== "") {
    let text: string;
    try {
      text = readFileSync(file, "utf8");
    } catch (cause) {
      throw new SetupError(`xds: the file of GRPC_XDS_BOOTSTRAP cannot be read: ${String(cause)}`);
    }
    return ["GRPC_XDS_BOOTSTRAP", parse("GRPC_XDS_BOOTSTRAP", text)];
  }
  const text = process.env["GRPC_XDS_BOOTSTRAP_CONFIG"];
  if (text !== undefined && text !== "") {
    return ["GRPC_XDS_BOOTSTRAP_CONFIG", parse("GRPC_XDS_BOOTSTRAP_CONFIG", text)];
  }
  throw new SetupError(
    "xds: there is no bootstrap: give the option, or GRPC_XDS_BOOTSTRAP or GRPC_XDS_BOOTSTRAP_CONFIG",
  );
}

function parse(source: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new SetupError(`xds: ${source}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The first kind of credentials that there is here, as gRFC A27 says. */
function tlsOf(creds: unknown, wrong: (text: string) => SetupError): Bootstrap["tls"] {
  for (const entry of Array.isArray(creds) ? (creds as Members[]) : []) {
    if (entry["type"] === "insecure") return false;
    if (entry["type"] !== "tls") continue;
    const config = (entry["config"] ?? {}) as Members; // Its members are checked below.
    const file = (name: string): Buffer | undefined => {
      const path = config[name];
      if (path === undefined) return undefined;
      if (typeof path !== "string") throw wrong(`channel_creds: ${name} must be a path`);
      try {
        return readFileSync(path);
      } catch (error) {
        throw wrong(`channel_creds: ${name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    };
    const ca = file("ca_certificate_file");
    const cert = file("certificate_file");
    const key = file("private_key_file");
    if (ca === undefined && cert === undefined) return true;
    return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
  }
  throw wrong('channel_creds must have one of the type "insecure" or "tls"');
}

function nodeOf(json: unknown, wrong: (text: string) => SetupError): Node {
  let node = create(NodeSchema);
  try {
    if (json !== undefined) {
      node = clone(NodeSchema, fromJson(NodeSchema, json as JsonValue, { ignoreUnknownFields: true }));
    }
  } catch (error) {
    throw wrong(`node: ${error instanceof Error ? error.message : String(error)}`);
  }
  node.userAgentName = "ts-ms";
  node.userAgentVersionType = { case: "userAgentVersion", value: "1" };
  node.clientFeatures = ["envoy.lb.does_not_support_overprovisioning"];
  return node;
}
