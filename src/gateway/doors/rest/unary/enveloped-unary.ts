import type { DescMethodUnary } from "@bufbuild/protobuf";
import type { CallContext } from "../../../../core/call/context.ts";
import type { CallEnvelope } from "../../../../core/call/call-envelope.ts";
import type { HttpExchange } from "../../../http/exchange.ts";
import { hasBody } from "../../../http/request-body.ts";
import type { RouteCall } from "../../../routing/route-call.ts";
import type { DoorKit } from "../../door-kit.ts";
import { withoutContent } from "../../envelopes.ts";
import { bodySeen, type CallKind, requestComplete, whileReading } from "../../open-call.ts";
import type { CallRunner } from "./call-runner.ts";
import type { ReplyWriter } from "./reply-writer.ts";
import { noBody, replyTypeOf, type Body } from "./unary-body.ts";

/** The compiled parts of a unary route. */
interface UnaryParts {
  readonly method: DescMethodUnary;
  readonly kit: DoorKit;
  readonly kind: CallKind;
  /** Reads a plain body; undefined if bodies are not read. */
  readonly body: ((exchange: HttpExchange) => Body) | undefined;
  readonly run: CallRunner;
  readonly replies: ReplyWriter;
}

/** Answers a call whose bodies are encrypted, once gates have admitted it. Rejects with the error of the call. */
type EnvelopedCall = (
  call: RouteCall,
  exchange: HttpExchange,
  context: CallContext,
  envelope: CallEnvelope,
) => Promise<void>;

/** As the story of a unary call, with an encrypted request, an encrypted reply or both. */
export function envelopedUnary({ method, kit, kind, body, run, replies }: UnaryParts): EnvelopedCall {
  const bodyOf = (exchange: HttpExchange, open: CallEnvelope["open"]): Body => {
    if (body === undefined || !hasBody(exchange.head)) return noBody;
    return open === undefined
      ? body(exchange)
      : { format: "json", bytes: kit.bodies.read(exchange).then(open) };
  };
  return async ({ captures, query }, exchange, context, { open, seal }) => {
    const { format, bytes } = bodyOf(exchange, open);
    const content = bytes && (await whileReading(context, bytes));
    const seen = bodySeen(context, exchange, () => kit.bodies.read(exchange));
    if (seen !== undefined) await whileReading(context, seen);
    requestComplete(context, kind);
    const type = seal === undefined ? replyTypeOf(exchange.head.headers, format) : undefined;
    const { changeQuery } = context;
    const asked = changeQuery === undefined ? query : changeQuery(query);
    const request = { captures, query: asked, format, body: content };
    const codec = replies.codec(query, type);
    const call = (): Promise<string | Buffer> => run(request, context, codec);
    const payload = await (open === undefined ? call() : withoutContent(method, call));
    if (seal === undefined) replies.send(payload, context, type, exchange);
    else replies.sendSealed(await context.race(seal(payload)), context, exchange);
  };
}
