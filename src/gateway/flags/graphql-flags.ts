import { eitherFlag } from "../../core/config/flag-kinds.ts";
import type { FlagValues } from "../../core/config/flags.ts";
import type { Face } from "../faces/face.ts";

/** Flags of GraphQL, a part of those of faces. */
export const graphqlFlags = {
  graphql: eitherFlag("off", "Serve the rpcs as GraphQL at /graphql"),
  playground: eitherFlag("on", "With --graphql, serve a page to try operations on"),
  introspection: eitherFlag("on", "With --graphql, let operations ask for the schema"),
} as const;

/** The face that the flags ask for. */
export async function graphqlFace(flags: FlagValues<typeof graphqlFlags>): Promise<Face | undefined> {
  if (flags.graphql !== true) return undefined;
  const { graphql } = await import("../faces/graphql/graphql.ts");
  return graphql({ playground: flags.playground ?? true, introspection: flags.introspection ?? true });
}
