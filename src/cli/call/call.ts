import { defineCommand } from "../command.ts";
import { callFlags } from "./call-flags.ts";

/** `ts-ms call`: calls an rpc, or says what there is to call. */
export const command = defineCommand({
  positionals: [
    {
      name: "TARGET",
      help: "host:port of a gRPC server, or the http:// or https:// URL of a gateway",
    },
    {
      name: "RPC",
      help: "package.Service/Method, Service/Method or Method; a service lists its rpcs, none the services",
      isOptional: true,
    },
    {
      name: "FIELD=VALUE",
      help: "Fields of the request, as query parameters have them: book.name=x, tags=a, labels[key]=value",
      isOptional: true,
      isRepeatable: true,
    },
  ],
  flags: callFlags,
  examples: [
    ["call localhost:50051", "list the services"],
    ["call localhost:50051 GetBook name=shelves/1/books/1", "call by gRPC"],
    ["call http://localhost:8080 GetBook name=shelves/1/books/1", "by the HTTP rule of the rpc"],
    ["call localhost:50051 Chat", "a line of JSON in, lines out; Ctrl-D ends"],
    ["call localhost:50051 UpdateBook -d @book.json -v", "the request of a file, with headers and times"],
  ],
  async run(flags, [target = "", rpc, ...fields]) {
    const { runCall } = await import("./run-call.ts");
    return runCall(flags, target, rpc, fields);
  },
});
