import { callLog, createLogger, httpLog, Metrics } from "../../src/entries/telemetry.ts";
import { GrpcServer, HttpServer, type HttpServerOptions } from "../../src/index.ts";
import { Bench } from "./bench-service.ts";
import { chosenEngine } from "./engine.ts";
import { takePart } from "./take-part.ts";

/**
 * Serves the bench's service by the combined gateway, configured as in `examples/gateway.ts`; its port is that of HTTP.
 *
 * @param options what is different. Default: nothing
 * @param portOf another port of the gateway
 */
export async function serveBench(
  options: Partial<HttpServerOptions> = {},
  portOf = ({ address }: HttpServer): number | undefined => address?.port,
): Promise<void> {
  const logger = createLogger();
  const metrics = new Metrics();
  const observers = [callLog(logger), metrics];
  const grpc = new GrpcServer({ port: 0, observers });
  const http = new HttpServer({
    port: 0,
    upstream: grpc,
    observers,
    httpObservers: [httpLog(logger), metrics],
    ...options,
    ...chosenEngine(),
  });
  const bench = new Bench();
  grpc.addService(bench);
  http.addService(bench);
  await grpc.start();
  await http.start();
  takePart({ port: portOf(http) ?? 0 });
}
