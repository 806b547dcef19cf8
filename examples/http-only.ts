/** REST in front of a gRPC server in another process, in any language: as `ts-ms serve`, with contracts inside. */
import { ChatService } from "../gen/chat/v1/chat_pb.ts";
import { Child } from "../gen/go/micro/service/child/child_pb.ts";
import { GoMs } from "../gen/go/micro/service/goms/goms_pb.ts";
import { LibraryService } from "../gen/library/v1/library_pb.ts";
import { runHttpProgram } from "../src/entries/app.ts";
import { httpProgramFlags, parseFlags } from "../src/entries/flags.ts";
import { servePages } from "./page/serve-pages.ts";
import { contractComments } from "./parts/contract-comments.ts";

await runHttpProgram(parseFlags("http-only", httpProgramFlags), {
  name: "http-only",
  builtIn: [GoMs, Child, LibraryService, ChatService],
  prepare: (http) => servePages(http, "chat"),
  comments: [contractComments()],
});
