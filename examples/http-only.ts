/** REST in front of a gRPC server in another process, in any language: what `ts-ms serve` is, with contracts inside. */
import { Child } from "../gen/go/micro/service/child/child_pb.ts";
import { GoMs } from "../gen/go/micro/service/goms/goms_pb.ts";
import { LibraryService } from "../gen/library/v1/library_pb.ts";
import { runHttpProgram } from "../src/cli/serve/http-program.ts";
import { programFlags } from "../src/cli/serve/program-flags.ts";
import { parseFlags } from "../src/entries/flags.ts";
import { contractComments } from "./parts/contract-comments.ts";

await runHttpProgram(parseFlags("http-only", programFlags), {
  name: "http-only",
  builtIn: [GoMs, Child, LibraryService],
  comments: [contractComments()],
});
