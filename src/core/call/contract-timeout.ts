import type { DescMethod } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { toDurationMs } from "../config/quantity-text.ts";
import { SetupError } from "../errors/setup-error.ts";

/** Numbers of the options `ts_ms.v1.policy` and `ts_ms.v1.service_policy`. */
const methodPolicy = 61102;
const servicePolicy = 61103;

/**
 * The longest time of the calls of an rpc as its contract states it, in milliseconds: the `timeout` of its policy, else,
 * for unary rpcs, of the policy of its service; undefined for none. It reads the options without their contract, which
 * most programs do not load.
 *
 * @throws SetupError naming file, option and rpc, for a text that is no duration above 0
 */
export function contractTimeoutMs(method: DescMethod): number | undefined {
  const { parent, proto } = method;
  const own = timeoutOf(proto.options, methodPolicy);
  const text =
    own ?? (method.methodKind === "unary" ? timeoutOf(parent.proto.options, servicePolicy) : undefined);
  if (text === undefined) return undefined;
  try {
    const ms = toDurationMs(text);
    if (ms > 0) return ms;
  } catch {
    // As for 0.
  }
  const option =
    own === undefined
      ? `service_policy of ${parent.typeName}`
      : `policy of ${parent.typeName}.${method.name}`;
  const allowed = "must be a duration above 0, such as 250ms, 5s, 1.5s or 2m";
  throw new SetupError(
    `${parent.file.name}.proto: ${option}: timeout ${allowed}, not ${JSON.stringify(text)}`,
  );
}

/** What is needed of a message of options: extensions are unknown fields of it. */
interface Options {
  readonly $unknown?: readonly { readonly no: number; readonly data: Uint8Array }[] | undefined;
}

/** Field 1 of a policy. */
function timeoutOf(options: Options | undefined, option: number): string | undefined {
  let text: string | undefined;
  for (const { no, data } of options?.$unknown ?? []) {
    if (no !== option) continue;
    const policy = new BinaryReader(new BinaryReader(data).bytes());
    while (policy.pos < policy.len) {
      const [field, wireType] = policy.tag();
      if (field === 1 && wireType === 2) text = policy.string();
      else policy.skip(wireType, field);
    }
  }
  return text === "" ? undefined : text;
}
