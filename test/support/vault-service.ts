import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  VaultService,
  type OpenResponseSchema,
  type PutAllRequest,
  type PutAllResponseSchema,
  type ReadResponseSchema,
} from "../../gen/tsms/test/v1/vault_pb.ts";
import type { CallHead } from "../../src/core/admission/call-head.ts";
import type { Gate } from "../../src/core/admission/gate.ts";
import type { HandlerContext } from "../../src/core/call/context.ts";
import type { Service } from "../../src/core/call/service.ts";
import { principal, principalKey, type Principal } from "../../src/core/security/principal.ts";

/** Says who has opened it, and counts its calls. */
export class Vault implements Service<typeof VaultService> {
  readonly descriptor = VaultService;
  calls = 0;
  /** Messages of streams that were read. */
  read_ = 0;

  open(_request: unknown, context: HandlerContext): MessageInitShape<typeof OpenResponseSchema> {
    this.calls++;
    return { who: principal(context)?.id ?? "" };
  }

  peek(): object {
    this.calls++;
    return {};
  }

  seal(): object {
    this.calls++;
    return {};
  }

  async *read(
    _request: unknown,
    context: HandlerContext,
  ): AsyncGenerator<MessageInitShape<typeof ReadResponseSchema>> {
    this.calls++;
    yield { line: "first" };
    if (context.requestHeader.has("x-stay")) {
      await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
    }
  }

  put(): object {
    this.calls++;
    return {};
  }

  async putAll(
    requests: AsyncIterable<PutAllRequest>,
  ): Promise<MessageInitShape<typeof PutAllResponseSchema>> {
    this.calls++;
    let count = 0;
    for await (const { vaults } of requests) {
      this.read_++;
      count += vaults.length;
    }
    return { count };
  }

  judge(): object {
    this.calls++;
    return {};
  }
}

/** A principal with these members beside usual ones. */
export function somebody(own: Partial<Principal> = {}): Principal {
  return {
    id: "ann",
    provider: "test",
    kind: "custom",
    issuer: undefined,
    scopes: new Set(),
    roles: new Set(),
    claims: { sub: own.id ?? "ann" },
    expiresAtMs: undefined,
    ...own,
  };
}

/** Takes the header `authorization: Test ID ROLES SCOPES`, with commas in the lists, at its word. */
export class WhoGate implements Gate {
  readonly name = "who";

  admit(call: CallHead): void {
    const [scheme, id, roles = "", scopes = ""] = (call.header("authorization") ?? "").split(" ");
    if (scheme !== "Test" || id === undefined) return;
    const who = somebody({ id, roles: setOf(roles), scopes: setOf(scopes) });
    call.context.values.set(principalKey, who);
  }
}

function setOf(names: string): ReadonlySet<string> {
  return new Set(names.split(",").filter((name) => name !== ""));
}
