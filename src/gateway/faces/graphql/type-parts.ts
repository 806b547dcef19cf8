import type { ShownContract } from "../shown-contract.ts";
import type { GraphqlOptions } from "./graphql-options.ts";
import type { Leaves } from "./leaves.ts";
import type { TypeNames } from "./names.ts";
import type { Scalars } from "./scalars.ts";
import type { Subject } from "./subject.ts";

/** What the types of one schema are made of. */
export interface TypeParts {
  readonly names: TypeNames;
  readonly scalars: Scalars;
  readonly leaves: Leaves;
  readonly shown: ShownContract;
  readonly options: Pick<GraphqlOptions, "oneofs" | "maps">;
  /** Keeps what a type is about. */
  readonly about: (subject: Subject) => void;
}
