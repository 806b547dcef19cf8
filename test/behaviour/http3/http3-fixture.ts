import { http3 } from "../../../src/gateway/http3/http3-door.ts";
import type { Http3Options } from "../../../src/gateway/http3/http3-options.ts";
import type { HttpServer } from "../../../src/gateway/http-server.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { createCertificate } from "../../support/certificates.ts";
import { type Gateway, startGateway } from "../../support/gateway-fixture.ts";
import type { AnyService } from "../../../src/core/call/service.ts";

/** A gateway over TLS that serves HTTP/3 too. */
export interface Http3Gateway extends Gateway {
  /** Its UDP port. */
  readonly udpPort: number;
}

/** Starts a gateway with a door of HTTP/3. */
export async function startHttp3(
  options: Partial<HttpServerOptions> = {},
  door: Partial<Http3Options> = {},
  services: readonly AnyService[] = [],
  before?: (http: HttpServer) => void,
): Promise<Http3Gateway> {
  const { cert, key } = createCertificate({ name: "localhost", hosts: ["localhost", "127.0.0.1"] });
  const all = { tls: { cert, key }, http3: http3({ port: 0, ...door }), ...options };
  const gateway = await startGateway(all, services, before);
  const udpPort = gateway.http.http3Address?.port;
  if (udpPort === undefined) throw new Error("HTTP/3 is not served");
  return { ...gateway, udpPort };
}
