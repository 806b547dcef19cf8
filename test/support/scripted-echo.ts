import type { TestContext } from "node:test";
import { create } from "@bufbuild/protobuf";
import { RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import type { HandlerContext } from "../../src/core/call/context.ts";
import { service, type ServiceImpl } from "../../src/core/call/service.ts";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import { GrpcServer, type GrpcServerOptions } from "../../src/core/grpc-server.ts";
import type { SelectedPolicy } from "../../src/core/policy/method-policy.ts";
import { previousAttempts } from "../../src/core/metadata/previous-attempts.ts";

type EchoImpl = Partial<ServiceImpl<typeof EchoService>>;

/** A server whose unary calls a test answers, and what it has seen. */
export interface Scripted {
  readonly server: GrpcServer;
  readonly address: string;
  /** `previousAttempts` of each call of `echo`. */
  readonly previous: number[];
}

/** Answers call number `index`, from 0: a text, an error or what it throws. */
export type Answer = (
  index: number,
  context: HandlerContext,
) => string | ConnectError | Promise<string | ConnectError>;

/** Starts a server for the test. @param more rpcs besides `echo` */
export async function scriptedEcho(
  t: TestContext,
  answer: Answer,
  more: EchoImpl = {},
  options: Partial<GrpcServerOptions> = {},
): Promise<Scripted> {
  const previous: number[] = [];
  const echo: EchoImpl["echo"] = async (_, context) => {
    const index = previous.push(previousAttempts(context)) - 1;
    const reply = await answer(index, context);
    if (reply instanceof ConnectError) throw reply;
    return { text: reply };
  };
  const server = new GrpcServer({ port: 0, ...options }).addService(service(EchoService, { echo, ...more }));
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  return { server, address: `127.0.0.1:${server.address?.port}`, previous };
}

export function unavailable(text = "not now"): ConnectError {
  return new ConnectError(text, Code.Unavailable);
}

/** UNAVAILABLE with `google.rpc.RetryInfo`. */
export function unavailableFor(ms: number): ConnectError {
  const retryDelay = { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1_000_000 };
  return new ConnectError("later", Code.Unavailable, undefined, [
    { desc: RetryInfoSchema, value: create(RetryInfoSchema, { retryDelay }) },
  ]);
}

/** The selector of all rpcs of the echo service. */
export const allEcho = "tsms.test.v1.EchoService/*";

/** Rpcs that may be sent twice, with short pauses. */
export function idempotent(policy: Omit<SelectedPolicy, "selector"> = {}): SelectedPolicy {
  const { retry, ...others } = policy;
  return {
    selector: allEcho,
    idempotency: "IDEMPOTENT",
    ...(others.hedge === undefined ? { retry: { initialBackoffMs: 2, ...retry } } : {}),
    ...others,
  };
}
