import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { SetupError } from "../errors/setup-error.ts";
import { selectorOf } from "../http-rule/http-rule.ts";

/**
 * The rpcs that a policy is for: `package.Service/Method`, `package.Service/*`, `package.*` or `*`, several of them with
 * commas. The dotted form of `google.api` rules, `package.Service.Method`, means the same.
 */
export class Selector {
  readonly text: string;
  /** In the dotted form. */
  readonly #patterns: readonly string[];

  /** @throws SetupError naming the part that is no selector */
  constructor(text: string) {
    this.text = text;
    this.#patterns = text.split(",").map((part) => toPattern(part.trim(), text));
  }

  /** Whether the rpc is one of them. */
  matches(method: DescMethod): boolean {
    const name = selectorOf(method);
    return this.#patterns.some((pattern) => matchesName(pattern, name));
  }

  /** Whether the rpc is named itself, not only its service or package. */
  names(method: DescMethod): boolean {
    return this.#patterns.includes(selectorOf(method));
  }

  /** The parts that stand for rpcs of this service alone and match none of them: they are misspelt. */
  misspeltFor(service: DescService): string[] {
    const inside = this.#patterns.filter((pattern) => pattern.startsWith(`${service.typeName}.`));
    return inside.filter((pattern) => !service.methods.some((rpc) => matchesName(pattern, selectorOf(rpc))));
  }

  /** The parts that match no rpc of these services. */
  unmatched(services: readonly DescService[]): string[] {
    const names = services.flatMap(({ methods }) => methods.map(selectorOf));
    return this.#patterns.filter((pattern) => !names.some((name) => matchesName(pattern, name)));
  }
}

const dotted = /^(?:\*|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?:\.\*)?)$/;

function toPattern(part: string, whole: string): string {
  const pattern = part.replace(/\/(?=[^/.]+$)/, ".");
  if (dotted.test(pattern)) return pattern;
  throw new SetupError(
    `selector ${JSON.stringify(whole)}: expected package.Service/Method, package.Service/* or package.*`,
  );
}

function matchesName(pattern: string, name: string): boolean {
  if (pattern === "*") return true;
  return pattern.endsWith(".*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}
