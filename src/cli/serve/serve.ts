import { countFlag, switchFlag } from "../../core/config/flag-kinds.ts";
import { FlagError } from "../../core/errors/setup-error.ts";
import { defineCommand, exitCodes } from "../command.ts";
import { httpProgramFlags } from "../../app/http-program-flags.ts";

/** `ts-ms serve`: a gateway in front of a gRPC server in any language. */
export const command = defineCommand({
  positionals: [
    {
      name: "TARGET",
      help: "The gRPC server to call, such as localhost:50051; without a flag for contracts its reflection has them",
      isOptional: true,
    },
  ],
  flags: {
    ...httpProgramFlags,
    mock: {
      ...switchFlag("Answer with examples made of the contracts, without a server"),
      excludes: ["reflection", "upstream", "discover"],
    },
    mockSeed: { ...countFlag(0, "Chooses the values of --mock"), needs: ["mock"] },
    watch: switchFlag("Load contracts and rules again when their files change"),
  },
  examples: [
    ["serve localhost:50051", "REST, documents and more for a server with reflection"],
    ["serve localhost:50051 --proto shop.proto --watch", "by its sources, again after each change"],
    ["serve --proto shop.proto --mock", "before there is a server"],
  ],
  async run(flags, [target]) {
    const hasFiles = flags.proto.length > 0 || flags.descriptors.length > 0;
    if (target !== undefined && flags.mock) throw new FlagError("--mock answers itself: leave TARGET out");
    if (flags.mock && !hasFiles) throw new FlagError("--mock needs --proto FILE or --descriptors FILE");
    for (const name of ["upstream", "discover", "grpcHost", "grpcPort"]) {
      if (target !== undefined && flags.given.has(name)) {
        throw new FlagError(
          "TARGET is the server to call: leave out --upstream, --discover, --grpc-host, --grpc-port",
        );
      }
    }
    const all = {
      ...flags,
      ...(target === undefined ? {} : { upstream: [target] }),
      reflection: !hasFiles && !flags.mock,
    };
    const { runHttpProgram } = await import("../../app/http-program.ts");
    const mock = flags.mock
      ? (await import("../../app/mock-upstream.ts")).mockUpstream(flags.mockSeed)
      : undefined;
    const { explainNoReflection } = await import("../contracts/explain-target.ts");
    const program = {
      ...{ name: "ts-ms", builtIn: [], comments: [], watch: flags.watch },
      explain: explainNoReflection,
    };
    try {
      await runHttpProgram(all, mock === undefined ? program : { ...program, mock });
    } catch (error) {
      const { explainPort } = await import("./explain-port.ts");
      throw await explainPort(error);
    }
    return typeof process.exitCode === "number" ? process.exitCode : exitCodes.done;
  },
});
