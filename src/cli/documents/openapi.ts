import { choiceFlag, optionalFlag, switchFlag } from "../../core/config/flag-kinds.ts";
import { defineCommand, exitCodes } from "../command.ts";
import { contractTarget } from "../contracts/contract-flags.ts";
import { documentFlags } from "./document-flags.ts";

/** `ts-ms openapi`: the OpenAPI document of contracts, as a server with the default options has it. */
export const command = defineCommand({
  positionals: [contractTarget],
  flags: {
    ...documentFlags,
    yaml: switchFlag("Print YAML in place of JSON"),
    openapiVersion: choiceFlag(["3.1", "3.2"], "3.1", "Version of OpenAPI"),
    inputs: choiceFlag(
      ["canonical", "exact"],
      "canonical",
      "What requests look like: the one form that clients should send, or everything that is taken",
    ),
    title: optionalFlag("TEXT", "Title of the document. Default: the name of the first service"),
    apiVersion: optionalFlag("TEXT", "Version of the API. Default: 0.0.0"),
  },
  examples: [
    ["openapi --proto shop.proto -o openapi.json", "the document of a contract"],
    ["openapi localhost:50051 --yaml --openapi-version 3.2", "of a server, as YAML"],
  ],
  async run(flags, [target]) {
    const [{ openapi }, { documentOf }, { writeDocument }] = await Promise.all([
      import("../../gateway/faces/openapi/openapi.ts"),
      import("./documented-server.ts"),
      import("./write-document.ts"),
    ]);
    const { yaml, openapiVersion, inputs, title, apiVersion } = flags;
    const face = openapi({
      ...(title !== undefined && { title }),
      ...(apiVersion !== undefined && { version: apiVersion }),
    });
    const url = `/openapi.${yaml ? "yaml" : "json"}?version=${openapiVersion}&inputs=${inputs}`;
    await writeDocument(await documentOf(face, flags, target, url), flags.output);
    return exitCodes.done;
  },
});
