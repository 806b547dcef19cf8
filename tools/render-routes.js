/**
 * Writes the routes of Istio and of the Gateway API, `routes.gen.yaml` in `deploy/kubernetes/components/`, from the
 * contracts of the example's services and from `deploy/kubernetes/traffic.yaml`.
 *
 * An argument is the folder in which `deploy` is made, instead of the project's own.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { ChatService } from "../gen/chat/v1/chat_pb.ts";
import { Child } from "../gen/go/micro/service/child/child_pb.ts";
import { GoMs } from "../gen/go/micro/service/goms/goms_pb.ts";
import { Health } from "../gen/grpc/health/v1/health_pb.ts";
import { LibraryService } from "../gen/library/v1/library_pb.ts";
import { gatewayApiRoutes } from "./routes/gateway-api.js";
import { istioRoutes } from "./routes/istio.js";
import { yamlOf } from "./routes/yaml-of.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const components = "deploy/kubernetes/components";

/** What the gateway serves, and the library. */
const served = [LibraryService, ChatService, GoMs, Child];

const [folder = root] = process.argv.slice(2);
const traffic = parse(readFileSync(join(root, "deploy/kubernetes/traffic.yaml"), "utf8"));
const head = "# Made by tools/render-routes.js from the contracts and traffic.yaml: npm run generate.\n";
for (const [component, routes] of [
  ["gateway-api", gatewayApiRoutes(served, traffic)],
  ["istio", istioRoutes(served, [...served, Health], traffic)],
]) {
  const file = join(folder, components, component, "routes.gen.yaml");
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, head + yamlOf(routes));
}
