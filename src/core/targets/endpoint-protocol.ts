import type { DescMethod } from "@bufbuild/protobuf";
import type { HealthOptions } from "../cluster/health.ts";
import { SetupError } from "../errors/setup-error.ts";
import type { ConnectionOptions, MergedConnectionOptions } from "../http2/connection-options.ts";
import { wrongOption } from "./option-groups.ts";

/** What endpoints speak. */
export type EndpointProtocol = "grpc" | "rest";

const protocols: readonly unknown[] = ["grpc", "rest"] satisfies readonly EndpointProtocol[];

/** The options that mean something else, or nothing, for endpoints that speak REST. */
type Concerned = Partial<Pick<ConnectionOptions, "compression" | "sign" | "engine">> & {
  readonly protocol?: EndpointProtocol | undefined;
};

/**
 * Checks what endpoints speak.
 *
 * @throws SetupError for another protocol, and for an option that endpoints of this one cannot have
 */
export function checkProtocol({ protocol = "grpc", compression = "none", sign, engine }: Concerned): void {
  if (!protocols.includes(protocol)) throw wrongOption("protocol", `"grpc" or "rest"`, protocol);
  if (protocol === "grpc") return;
  if (compression !== "none") throw ofGrpcOnly("compression");
  if (sign !== undefined) throw ofGrpcOnly("sign");
  if (engine !== undefined) throw ofGrpcOnly("engine");
}

/**
 * The checks of endpoints that speak a protocol: those of REST have no health service, but a path.
 *
 * @throws SetupError for checks by gRPC of endpoints that do not speak it
 */
export function healthOf(
  protocol: EndpointProtocol,
  health: Partial<HealthOptions> | undefined,
): Partial<HealthOptions> | undefined {
  if (protocol === "grpc" || health === undefined) return health;
  if ((health.mode ?? "http") === "http") return { ...health, mode: "http" };
  throw new SetupError(
    `dial: the option health.mode "${health.mode}" asks by gRPC; endpoints that speak rest have "http"`,
  );
}

/** A connection that speaks the protocol: what is needed for REST is loaded here. @param methods that are called, by path */
export async function connectionOf(
  protocol: EndpointProtocol,
  connection: MergedConnectionOptions,
  methods: ReadonlyMap<string, DescMethod>,
): Promise<MergedConnectionOptions> {
  if (protocol === "grpc") return connection;
  const { restConnector } = await import("../rest-endpoints/rest-connector.ts");
  return { ...connection, connectBy: restConnector(methods, connection.maxMessageBytes) };
}

function ofGrpcOnly(name: string): SetupError {
  return new SetupError(`dial: the option ${name} is for gRPC, and means nothing with protocol "rest"`);
}
