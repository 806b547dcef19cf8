import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { invalidArgument } from "../core/errors/errors.ts";

/** How a saga is begun. */
export interface BeginOptions {
  /** Id of the saga, such as that of an order or a message: 1 to 200 visible ASCII characters. Default: a random one. */
  readonly id?: string;
  /** When it is undone if it has not ended, in milliseconds from now; not after a pivot. Default: never. */
  readonly timeoutMs?: number;
  /** Of the handler that begins it: the saga takes up its trace. Default: none, a trace of its own. */
  readonly context?: Pick<HandlerContext, "requestHeader">;
}

/** A saga that has begun. */
export interface SagaHandle<O extends DescMessage> {
  readonly id: string;
  /** False if it had begun before. */
  readonly isNew: boolean;
  /** As `Sagas.result`. */
  result(options?: { readonly timeoutMs?: number }): Promise<MessageShape<O>>;
}

const idForm = /^[\x21-\x7e]{1,200}$/;

/** Checks the id of a saga, which is a part of headers. @throws ConnectError INVALID_ARGUMENT */
export function checkId(id: string): void {
  if (!idForm.test(id)) {
    throw invalidArgument(`the saga id "${id}" must have 1 to 200 visible ASCII characters`);
  }
}
