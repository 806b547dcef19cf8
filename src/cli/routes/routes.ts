import { optionalFlag, switchFlag } from "../../core/config/flag-kinds.ts";
import { defineCommand, exitCodes } from "../command.ts";
import { contractFlags, contractTarget, rulesFlag } from "../contracts/contract-flags.ts";
import { targetFlags } from "../contracts/target-flags.ts";

/** `ts-ms routes`: the HTTP routes of contracts. */
export const command = defineCommand({
  positionals: [contractTarget],
  flags: {
    ...contractFlags,
    rules: rulesFlag,
    match: optionalFlag(
      "REQUEST",
      "Show the one route that serves this request, such as 'GET /v1/shelves/1'",
    ),
    json: switchFlag("Print JSON"),
    ...targetFlags,
  },
  examples: [
    ["routes --proto shop.proto", "the routes of a contract"],
    ["routes localhost:50051 --rules rules.yaml", "of a server, with rules beside its contracts"],
    ["routes --proto shop.proto --match 'GET /v1/items/7'", "where a request goes"],
  ],
  async run(flags, [target]) {
    const [{ loadContracts }, { compileRoutes, routesText, routesJson }] = await Promise.all([
      import("../contracts/load-contracts.ts"),
      import("./route-table.ts"),
    ]);
    const { services } = await loadContracts(flags, target);
    const routes = await compileRoutes(services, flags.rules);
    if (flags.match !== undefined) {
      const { matchRequest } = await import("./match-request.ts");
      return matchRequest(routes, flags.match, flags.json);
    }
    process.stdout.write(flags.json ? routesJson(routes) : routesText(routes));
    return exitCodes.done;
  },
});
