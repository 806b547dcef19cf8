import { getOption, hasOption } from "@bufbuild/protobuf";
import { faces, type OpenapiFace } from "../../../../gen/ts_ms/v1/faces_pb.ts";
import { Namer } from "../../../core/contract/namer.ts";
import { SetupError } from "../../../core/errors/setup-error.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import type { Contract } from "../face.ts";
import { ShownContract } from "../shown-contract.ts";
import { foreignOperationId } from "./foreign-operation.ts";
import type { OpenapiOptions } from "./openapi-options.ts";

/** What a document shows of a contract. */
export class Shown extends ShownContract {
  /** In the order of the contract. */
  readonly routes: readonly Route[];

  /** @throws SetupError as `ShownContract` */
  constructor(
    contract: Pick<Contract, "services" | "routes">,
    options: Pick<OpenapiOptions, "services" | "visibility" | "implicit">,
  ) {
    super("openapi", contract, options);
    const shown = new Set(this.services);
    const annotated = contract.routes.filter((route) => !route.implicit);
    const bound = new Set(annotated.map(({ method }) => method));
    this.routes = contract.routes.filter(
      ({ method, implicit }) =>
        shown.has(method.parent) &&
        (!implicit || options.implicit || !bound.has(method)) &&
        faceOf(method)?.hidden !== true &&
        this.has(method),
    );
  }
}

/** The methods of a route for any method. */
const anyMethod = ["GET", "PUT", "POST", "DELETE", "PATCH"];

/** The HTTP methods of a route in a document. */
export function verbsOf({ httpMethod }: Pick<Route, "httpMethod">): readonly string[] {
  return httpMethod === "*" ? anyMethod : [httpMethod];
}

/**
 * The ids of the operations of routes, one for each HTTP method: `Service_Method`, or what the contract says. Each further
 * binding of an rpc has a number.
 *
 * @throws SetupError for an id of the contract that another rpc has too
 */
export function operationIds({ services, routes }: Shown): ReadonlyMap<Route, readonly string[]> {
  const namer = new Namer(services, []);
  const owners = new Map<string, Route["method"]>();
  const counts = new Map<Route["method"], number>();
  const next = (method: Route["method"]): string => {
    const given = givenId(method);
    const name = given === "" ? namer.operation(method) : given;
    for (let count = (counts.get(method) ?? 0) + 1; ; count++) {
      const id = count === 1 ? name : `${name}_${count}`;
      const other = owners.get(id);
      if (other === undefined) {
        counts.set(method, count);
        owners.set(id, method);
        return id;
      }
      if (given !== "" || givenId(other) !== "") throw twice(id, other, method);
    }
  };
  return new Map(routes.map((route) => [route, verbsOf(route).map(() => next(route.method))]));
}

/** What the contract says of an rpc as an operation. */
export function faceOf(method: Route["method"]): OpenapiFace | undefined {
  return hasOption(method, faces) ? getOption(method, faces).openapi : undefined;
}

function givenId(method: Route["method"]): string {
  const own = faceOf(method)?.operationId ?? "";
  return own === "" ? foreignOperationId(method) : own;
}

function twice(id: string, one: Route["method"], other: Route["method"]): SetupError {
  const names = [one, other].map(({ parent, name }) => `${parent.typeName}/${name}`).join(" and ");
  return new SetupError(`openapi: the operation id ${id} is that of ${names}: give one of them another`);
}
