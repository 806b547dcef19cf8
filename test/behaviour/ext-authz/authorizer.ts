import { create, type MessageInitShape } from "@bufbuild/protobuf";
import type { TestContext } from "node:test";
import {
  Authorization,
  type CheckRequest,
  CheckResponseSchema,
} from "../../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import type { AttributeContext_HttpRequest } from "../../../gen/envoy/service/auth/v3/attribute_context_pb.ts";
import {
  type HeaderValueOption_HeaderAppendAction,
  HeaderValueOptionSchema,
} from "../../../gen/envoy/config/core/v3/base_pb.ts";
import { dial, GrpcServer } from "../../../src/index.ts";

type Answer = Extract<MessageInitShape<typeof CheckResponseSchema>, { $typeName?: never }>;

/** An authorizer whose answers a test chooses. */
export interface Authorizer {
  readonly questions: CheckRequest[];
  /** The HTTP part of the last question. */
  readonly http: AttributeContext_HttpRequest;
  answer: (question: CheckRequest) => Answer | Promise<Answer>;
  readonly address: string;
  readonly transport: ReturnType<typeof dial>;
}

export async function startAuthorizer(t: TestContext, answer: Authorizer["answer"]): Promise<Authorizer> {
  const questions: CheckRequest[] = [];
  const server = new GrpcServer({ port: 0, logger: false }).addService({
    descriptor: Authorization,
    async check(question) {
      questions.push(question);
      return create(CheckResponseSchema, await authorizer.answer(question));
    },
  });
  await server.start();
  const address = `127.0.0.1:${server.address?.port}`;
  const transport = dial(address);
  t.after(async () => {
    transport.close();
    await server.gracefulStop({ graceMs: 0 });
  });
  const authorizer: Authorizer = {
    questions,
    answer,
    address,
    transport,
    get http() {
      const http = questions.at(-1)?.attributes?.request?.http;
      if (http === undefined) throw new Error("the authorizer was not asked");
      return http;
    },
  };
  return authorizer;
}

export const allowed = { status: { code: 0 } } as const satisfies Answer;

/** A change of a header. */
export function header(key: string, value: string, appendAction: HeaderValueOption_HeaderAppendAction = 0) {
  return create(HeaderValueOptionSchema, { header: { key, value }, appendAction });
}
