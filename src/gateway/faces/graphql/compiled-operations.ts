import {
  type GraphQLOutputType,
  Kind,
  type OperationDefinitionNode,
  type SelectionNode,
  visit,
} from "graphql";
import { CompiledOperation } from "./compiled-operation.ts";
import type { ValidDocument } from "./documents.ts";
import type { PreparedOperation } from "./prepared-operation.ts";
import type { ContractSchema } from "./schema.ts";
import type { WriteValue } from "./value-walk.ts";
import { type Variables, variablesOf } from "./versions.ts";

/** An operation with the variables of a request. */
export interface ReadyOperation {
  readonly compiled: CompiledOperation;
  readonly variables: Variables;
}

/** The forms of one operation: `@skip` and `@include` by variables make several. */
interface Forms {
  /** The variables by which nodes are skipped or included. */
  readonly conditions: readonly string[];
  /** By the values of these variables; undefined for what graphql-js executes. */
  readonly compiled: Map<string, CompiledOperation | undefined>;
}

/** The most forms of one operation. */
const maxForms = 8;

/** Compiles the operations of one schema when they are first executed. */
export class CompiledOperations {
  readonly #schema: ContractSchema;
  /** They last as long as their documents are kept. */
  readonly #forms = new WeakMap<OperationDefinitionNode, Forms>();
  readonly #leaves = new Map<GraphQLOutputType, WriteValue>();

  constructor(schema: ContractSchema) {
    this.#schema = schema;
  }

  /** The operation of a request, compiled; undefined for one that graphql-js has to execute. */
  of({ operation, valid: document, request }: PreparedOperation): ReadyOperation | undefined {
    let forms = this.#forms.get(operation);
    if (forms === undefined) this.#forms.set(operation, (forms = formsOf(document)));
    if (forms.compiled === none) return undefined;
    const variables = variablesOf(
      this.#schema.schema,
      operation.variableDefinitions ?? [],
      request.variables ?? {},
    );
    if (variables === undefined) return undefined;
    const { values } = variables;
    const key = forms.conditions.length === 0 ? "" : forms.conditions.map((name) => values[name]).join();
    let compiled = forms.compiled.get(key);
    if (compiled === undefined && !forms.compiled.has(key)) {
      if (forms.compiled.size >= maxForms) return undefined;
      forms.compiled.set(key, (compiled = this.#compile(operation, document, values)));
    }
    return compiled && { compiled, variables };
  }

  #compile(
    operation: OperationDefinitionNode,
    { fragments }: ValidDocument,
    values: Variables["values"],
  ): CompiledOperation | undefined {
    const { schema, roots } = this.#schema;
    const rootType = schema.getRootType(operation.operation);
    if (rootType === undefined || rootType === null) return undefined;
    try {
      return new CompiledOperation({
        ...{ schema, rootType, operation, fragments },
        roots: roots[operation.operation],
        includes: (node) => isIncluded(node, values),
        leaves: this.#leaves,
      });
    } catch {
      return undefined; // It has what graphql-js alone executes: introspection, too many fields.
    }
  }
}

const none: Forms["compiled"] = new Map();

/** Looks at the directives of a document. */
function formsOf({ document, introspects }: ValidDocument): Forms {
  const conditions = new Set<string>();
  let isKnown = !introspects;
  visit(document, {
    Directive({ name, arguments: args }) {
      const condition = args?.find((one) => one.name.value === "if")?.value;
      if (name.value !== "skip" && name.value !== "include") isKnown = false;
      else if (condition?.kind === Kind.VARIABLE) conditions.add(condition.name.value);
    },
  });
  return { conditions: [...conditions], compiled: isKnown ? new Map<string, CompiledOperation>() : none };
}

/** @throws TypeError for a condition that is neither true nor false */
function isIncluded({ directives = [] }: SelectionNode, values: Variables["values"]): boolean {
  return directives.every(({ name, arguments: args }) => {
    const condition = args?.find((one) => one.name.value === "if")?.value;
    const value =
      condition?.kind === Kind.VARIABLE
        ? values[condition.name.value]
        : condition?.kind === Kind.BOOLEAN && condition.value;
    if (typeof value !== "boolean") throw new TypeError(`@${name.value} has no condition`);
    return value === (name.value === "include");
  });
}
