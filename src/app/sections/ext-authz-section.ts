import type { DescMethod } from "@bufbuild/protobuf";
import type { CallHead } from "../../core/admission/call-head.ts";
import type { Gate } from "../../core/admission/gate.ts";
import type { Config } from "../../core/config/loader/config-types.ts";
import { dial, type DialedTransport } from "../../core/dial.ts";
import { extAuthzGate } from "../../core/security/ext-authz/ext-authz-gate.ts";
import type { AuthorizerBooks } from "../../core/security/ext-authz/ext-authz-options.ts";
import { AuthorizerCounts } from "./authorizer-counts.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** The authorizer that is asked about calls. */
export function open(kit: SectionKit): SectionParts {
  const counts = new AuthorizerCounts();
  let unwatch: readonly (() => void)[] = [];
  let current = authorizerOf(kit.config, kit, counts);
  let isClosed = false;
  const gate: Gate = {
    name: "ext_authz",
    admit(call: CallHead) {
      // Which rpcs it concerns may change at a reload.
      if (concerns(current.gate, call.method)) return current.gate.admit(call);
    },
  };
  return {
    gates: { authorizer: [gate] },
    policyOf: (method) => ({ authorizer: concerns(current.gate, method) ? current.target : "" }),
    prepare({ next, changed }) {
      if (!changed.some((key) => key.startsWith("ext_authz."))) return () => {};
      const after = authorizerOf(next, kit, counts);
      return () => {
        current.transport.close();
        current = after;
      };
    },
    start() {
      if (isClosed) current = authorizerOf(kit.config, kit, counts); // What was read since is read again.
      isClosed = false;
      unwatch = counts.watchedBy(kit.metrics);
    },
    stop() {
      for (const end of unwatch) end();
      current.transport.close();
      isClosed = true;
    },
  };
}

interface ConfiguredAuthorizer {
  readonly target: string;
  readonly gate: Gate;
  readonly transport: DialedTransport;
}

function authorizerOf(
  { extAuthz }: Config,
  { mistake, logger }: SectionKit,
  books: AuthorizerBooks,
): ConfiguredAuthorizer {
  if (extAuthz === undefined) throw mistake("ext_authz.target", "it is missing");
  const { target, timeout, onFailure, rpc, includeBody, headers, cacheTtl, extensions } = extAuthz;
  try {
    const transport = dial(target);
    const gate = extAuthzGate(transport, {
      timeoutMs: timeout,
      onFailure: onFailure === "allow" ? "allow" : "deny",
      rpc,
      includeBodyBytes: includeBody,
      headers,
      cacheTtlMs: cacheTtl,
      extensions,
      logger,
      books,
    });
    return { target, gate, transport };
  } catch (error) {
    throw mistake("ext_authz", error instanceof Error ? error.message : String(error));
  }
}

function concerns(gate: Gate, method: DescMethod): boolean {
  return gate.concerns?.(method) ?? true;
}
