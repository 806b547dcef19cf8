import { builtGoTool } from "../../conformance/tools.ts";

/** The path of grpcurl; undefined where no suite has built it. */
export const grpcurl: string | undefined = builtGoTool("grpcurl");

/** Why tests with grpcurl are skipped; false where they run. */
export const noGrpcurl: string | false =
  grpcurl === undefined && "`npm run conformance -- command-line-tools` builds grpcurl";
