import type { OperationDefinitionNode } from "graphql";
import type { ValidDocument } from "./documents.ts";
import type { OperationRequest } from "./request.ts";
import type { RootType } from "./rpcs.ts";

/** An operation that may be executed. */
export interface PreparedOperation {
  readonly type: RootType;
  readonly request: OperationRequest;
  readonly valid: ValidDocument;
  readonly operation: OperationDefinitionNode;
}
