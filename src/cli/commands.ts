import type { CommandEntry } from "./command.ts";

/** The commands of `ts-ms`, in the order of the help: a line here and a file for each. */
export const commands: readonly CommandEntry[] = [
  {
    name: "new",
    summary: "Make a project: a service, a gateway, or a library of a contract",
    load: () => import("./new/new.ts"),
  },
  {
    name: "add",
    summary: "Add a service to a project",
    load: () => import("./add/add.ts"),
  },
  {
    name: "serve",
    summary: "Serve REST, documents and more in front of a gRPC server in any language",
    load: () => import("./serve/serve.ts"),
  },
  {
    name: "mcp",
    summary: "Serve the rpcs of a gRPC server as tools of MCP on stdin and stdout",
    load: () => import("./mcp/mcp.ts"),
  },
  {
    name: "routes",
    summary: "List the HTTP routes of contracts, or find the one of a request",
    load: () => import("./routes/routes.ts"),
  },
  {
    name: "call",
    summary: "Call an rpc by gRPC, REST or Connect, or list what there is to call",
    load: () => import("./call/call.ts"),
  },
  {
    name: "hub",
    summary: "List, count and close the live connections of a server, and publish to its rooms",
    load: () => import("./hub/hub.ts"),
  },
  {
    name: "openapi",
    summary: "Print the OpenAPI document of contracts",
    load: () => import("./documents/openapi.ts"),
  },
  {
    name: "graphql",
    summary: "Print the GraphQL schema of contracts",
    load: () => import("./documents/graphql.ts"),
  },
  {
    name: "lint",
    summary: "Look for mistakes in contracts, and for what breaks their clients",
    load: () => import("./lint/lint.ts"),
  },
  {
    name: "doctor",
    summary: "Say what is wrong with a project, or with the way to a server, and what to do",
    load: () => import("./doctor/doctor.ts"),
  },
  {
    name: "completion",
    summary: "Print the script by which bash, zsh or fish completes command lines",
    load: () => import("./completion/completion.ts"),
  },
];
