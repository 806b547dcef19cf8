import type { GoMsEntityRequest } from "../../../gen/go/micro/service/goms/goms_pb.ts";
import { GoMs } from "../../../gen/go/micro/service/goms/goms_pb.ts";
import { invalidArgument } from "../../core/errors/errors.ts";
import type { Service } from "../../core/call/service.ts";

/** The example service of GoMs: every rpc replies with its name. */
export class GomsService implements Service<typeof GoMs> {
  readonly descriptor = GoMs;
  /** Name of this instance, for logs. */
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  list() {
    return { message: "GoMs List" };
  }

  create() {
    return { message: "GoMs Create" };
  }

  /** @throws ConnectError INVALID_ARGUMENT without an id; `update` and `delete` likewise. */
  get(request: GoMsEntityRequest) {
    return answer(request, "GoMs View");
  }

  update(request: GoMsEntityRequest) {
    return answer(request, "GoMs Update");
  }

  delete(request: GoMsEntityRequest) {
    return answer(request, "GoMs Delete");
  }
}

function answer({ id }: GoMsEntityRequest, message: string) {
  if (id === "") throw invalidArgument("id is missing", [{ field: "id", description: "must not be empty" }]);
  return { message };
}
