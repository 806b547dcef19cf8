import { createClient, type Client, type HandlerContext, type Transport } from "@connectrpc/connect";
import { Child } from "../../../gen/go/micro/service/child/child_pb.ts";
import { GoMs, type GoMsEntityRequest } from "../../../gen/go/micro/service/goms/goms_pb.ts";
import { propagate } from "../../core/metadata/propagate.ts";
import { invalidArgument } from "../../core/errors/errors.ts";
import type { Service } from "../../core/call/service.ts";

/** The second example service of GoMs, which calls the first one through a transport. */
export class ChildService implements Service<typeof Child> {
  readonly descriptor = Child;
  /** Name of this instance, for logs. */
  readonly name: string;
  readonly #goms: Client<typeof GoMs>;

  /** @param transport Transport to a server of `GoMs`, in this process or remote. */
  constructor(name: string, transport: Transport) {
    this.name = name;
    this.#goms = createClient(GoMs, transport);
  }

  list() {
    return { message: "Child List" };
  }

  create() {
    return { message: "Child Create" };
  }

  /** @throws ConnectError INVALID_ARGUMENT without an id; `update` and `delete` likewise. */
  get(request: GoMsEntityRequest) {
    return answer(request, "Child View");
  }

  update(request: GoMsEntityRequest) {
    return answer(request, "Child Update");
  }

  delete(request: GoMsEntityRequest) {
    return answer(request, "Child Delete");
  }

  /** The reply of GoMs, within the remaining deadline of this call. @throws ConnectError the error of GoMs. */
  parent({ id }: GoMsEntityRequest, context: HandlerContext) {
    return this.#goms.get({ id }, propagate(context));
  }
}

function answer({ id }: GoMsEntityRequest, message: string) {
  if (id === "") throw invalidArgument("id is missing", [{ field: "id", description: "must not be empty" }]);
  return { message };
}
