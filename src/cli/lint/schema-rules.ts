import { SetupError } from "../../core/errors/setup-error.ts";
import { schemaChanges } from "../../gateway/faces/graphql/schema-text.ts";
import type { SchemaContract } from "../../gateway/faces/graphql/schema.ts";
import type { RoutedContract } from "./against.ts";
import type { Finding } from "./finding.ts";

/** A contract with everything that its schema of GraphQL is made of. */
export type SchemedContract = RoutedContract & Pick<SchemaContract, "registry" | "comments">;

/** What schemas were compared with, or why they were not. */
export interface SchemaReport {
  readonly findings: readonly Finding[];
  /** A sentence about what was not looked at; undefined where all was. */
  readonly skipped: string | undefined;
}

/** What queries of an older contract may no longer do, with the default options of the face. */
export async function compareSchemas(before: SchemedContract, now: SchemedContract): Promise<SchemaReport> {
  try {
    const changes = await schemaChanges(before, now);
    const [first] = now.services;
    const file = first?.file.proto.name ?? "";
    const findings = changes.map(({ type, description }) => ({
      rule: "graphql-breaking",
      file,
      line: 0,
      message: `${description.replace(/\.$/, "")} (${type}): operations of GraphQL clients that use it are refused`,
    }));
    return { findings, skipped: undefined };
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    return { findings: [], skipped: `graphql-breaking did not run: ${error.message}` };
  }
}
