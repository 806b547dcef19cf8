import type { JsonWriteOptions } from "../codec/message-to-json.ts";

/** How the gateway reads and writes JSON, as far as a schema says it. */
export interface SchemaForm extends Pick<JsonWriteOptions, "fieldNames" | "enums" | "int64" | "defaults"> {
  /** Whether members that a message does not have are refused. */
  readonly unknownFields: "ignore" | "reject";
  /** `canonical`: the one form that clients should send; `exact`: everything that is taken. */
  readonly inputs: "canonical" | "exact";
  /** Whether a message has a schema for each direction, where they differ. */
  readonly split: boolean;
  /** `plain` leaves out `pattern`, `format` and `dependentSchemas`, which some readers refuse. */
  readonly keywords: "full" | "plain";
  /** What stands in front of names in references: `#/components/schemas/`. */
  readonly prefix: string;
  /** Spaces of a level in the texts of definitions. Default: 2. */
  readonly indent?: number;
}
