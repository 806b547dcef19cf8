import { choiceFlag } from "../../core/config/flag-kinds.ts";
import { defineCommand, exitCodes } from "../command.ts";
import { contractTarget } from "../contracts/contract-flags.ts";
import { documentFlags } from "./document-flags.ts";

/** `ts-ms graphql`: the schema of contracts in GraphQL's language, as a server with the default options has it. */
export const command = defineCommand({
  positionals: [contractTarget],
  flags: {
    ...documentFlags,
    names: choiceFlag(["short", "service"], "short", "Names of rpcs: alone, or behind their service"),
    oneofs: choiceFlag(["union", "fields"], "union", "Oneofs as unions and @oneOf inputs, or as fields"),
    maps: choiceFlag(["entries", "json"], "entries", "Maps as lists of keys and values, or as JSON"),
  },
  examples: [
    ["graphql --proto shop.proto -o schema.graphql", "the schema of a contract"],
    ["graphql localhost:50051", "of a server"],
  ],
  async run(flags, [target]) {
    const [{ schemaText }, { loadContracts }, { compileRoutes }, { commentsFrom }, { writeDocument }] =
      await Promise.all([
        import("../../gateway/faces/graphql/schema-text.ts"),
        import("../contracts/load-contracts.ts"),
        import("../routes/route-table.ts"),
        import("../../gateway/faces/comment-files.ts"),
        import("./write-document.ts"),
      ]);
    const { services, registry } = await loadContracts(flags, target);
    const routes = await compileRoutes(services, flags.rules);
    const { names, oneofs, maps } = flags;
    const contract = {
      services,
      registry,
      routes,
      comments: commentsFrom([...flags.descriptors, ...flags.comments]),
    };
    await writeDocument(await schemaText(contract, { names, oneofs, maps }), flags.output);
    return exitCodes.done;
  },
});
