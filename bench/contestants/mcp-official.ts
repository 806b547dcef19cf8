/**
 * The official server of MCP with a low-level handler, which sends back what came; its argument is the folder in which it
 * is installed.
 */
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Parcel } from "./fastify-routes.ts";
import { takePart } from "./take-part.ts";

/** What is used of `@modelcontextprotocol/server`, which is no package of this project. */
interface ServerPackage {
  readonly Server: new (info: object, options: object) => Server;
  readonly createMcpHandler: (make: () => Server) => object;
}

interface Server {
  setRequestHandler(method: string, handle: (request: ToolCall) => object): void;
}

interface ToolCall {
  readonly params: { readonly arguments: Parcel };
}

/** What is used of `@modelcontextprotocol/node`. */
interface NodePackage {
  readonly toNodeHandler: (handler: object) => RequestListener;
}

const [folder = ""] = process.argv.slice(2);
const find = createRequire(join(folder, "package.json"));
const load = (name: string): Promise<unknown> => import(pathToFileURL(find.resolve(name)).href);
const { Server, createMcpHandler } = (await load("@modelcontextprotocol/server")) as ServerPackage;
const { toNodeHandler } = (await load("@modelcontextprotocol/node")) as NodePackage;

const handler = createMcpHandler(() => {
  const server = new Server({ name: "bench", version: "1.0.0" }, { capabilities: { tools: {} } });
  server.setRequestHandler("tools/call", ({ params }) => {
    const { name, weight, address } = params.arguments;
    const structuredContent = { name, weight, address };
    return { content: [{ type: "text", text: JSON.stringify(structuredContent) }], structuredContent };
  });
  return server;
});
const server = createServer(toNodeHandler(handler)).listen(0, "127.0.0.1");
await once(server, "listening");
takePart({ port: (server.address() as AddressInfo).port }); // It listens on TCP.
