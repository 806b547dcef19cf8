import type { DescMessage, DescMethodUnary, DescService, MessageShape } from "@bufbuild/protobuf";
import type { UnaryResponse } from "@connectrpc/connect";
import type { CallContext } from "./context.ts";

/**
 * The reply of a unary call. Headers and trailers are made when they are read, by own properties, so that a copy of the
 * reply has them too.
 *
 * The getters are functions that all replies share. Getters in a literal are new functions each time, for which V8 makes
 * a hidden class for each reply, and keeps all of them with their calls until the next full garbage collection.
 */
export class UnaryReply<I extends DescMessage, O extends DescMessage> implements UnaryResponse<I, O> {
  readonly stream = false;
  readonly service: DescService;
  readonly method: DescMethodUnary<I, O>;
  readonly message: MessageShape<O>;
  declare readonly header: Headers;
  declare readonly trailer: Headers;
  readonly #context: CallContext;

  constructor(context: CallContext, method: DescMethodUnary<I, O>, message: MessageShape<O>) {
    this.service = method.parent;
    this.method = method;
    this.message = message;
    this.#context = context;
    Object.defineProperty(this, "header", UnaryReply.#header);
    Object.defineProperty(this, "trailer", UnaryReply.#trailer);
  }

  static readonly #header: PropertyDescriptor & ThisType<UnaryReply<DescMessage, DescMessage>> = {
    get() {
      return this.#context.responseHeader;
    },
    enumerable: true,
  };

  static readonly #trailer: PropertyDescriptor & ThisType<UnaryReply<DescMessage, DescMessage>> = {
    get() {
      return this.#context.responseTrailer;
    },
    enumerable: true,
  };
}
