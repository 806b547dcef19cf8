import type { HeaderMatcher } from "../../../../gen/envoy/config/route/v3/route_components_pb.ts";
import type { RegexMatcher } from "../../../../gen/envoy/type/matcher/v3/regex_pb.ts";
import type { StringMatcher } from "../../../../gen/envoy/type/matcher/v3/string_pb.ts";
import { BadResource } from "./bad-resource.ts";

/** Whether the headers of a call match. */
export type HeaderTest = (headers: Headers) => boolean;

/** @throws BadResource */
export function compileHeaderMatcher({ name, headerMatchSpecifier, invertMatch }: HeaderMatcher): HeaderTest {
  if (name === "") throw new BadResource("a header matcher has no name");
  const matches = compileMatch(headerMatchSpecifier);
  const lower = name.toLowerCase();
  return (headers) => {
    const value = valueOf(headers, lower);
    // Only presence says something of a header that is not there.
    if (value === undefined && headerMatchSpecifier.case !== "presentMatch") return false;
    return matches(value) !== invertMatch;
  };
}

/** Binary headers have no text, and the type of calls is always the same (gRFC A28). */
function valueOf(headers: Headers, name: string): string | undefined {
  if (name === "content-type") return "application/grpc";
  if (name.endsWith("-bin") || name.startsWith("grpc-")) return undefined;
  return headers.get(name) ?? undefined;
}

type Match = (value: string | undefined) => boolean;

function compileMatch(specifier: HeaderMatcher["headerMatchSpecifier"]): Match {
  switch (specifier.case) {
    case "exactMatch":
      return (value) => value === specifier.value;
    case "prefixMatch":
      return (value) => value?.startsWith(specifier.value) === true;
    case "suffixMatch":
      return (value) => value?.endsWith(specifier.value) === true;
    case "containsMatch":
      return (value) => value?.includes(specifier.value) === true;
    case "presentMatch":
      return (value) => (value !== undefined) === specifier.value;
    case "safeRegexMatch":
      return compileRegex(specifier.value);
    case "rangeMatch": {
      const { start, end } = specifier.value;
      return (value) =>
        /^-?\d{1,18}$/.test(value ?? "") && BigInt(value ?? "") >= start && BigInt(value ?? "") < end;
    }
    case "stringMatch":
      return compileString(specifier.value);
    default:
      throw new BadResource("the kind of a header matcher is not supported");
  }
}

function compileString({ matchPattern: pattern, ignoreCase }: StringMatcher): Match {
  // Expressions have flags of their own for it.
  if (pattern.case === "safeRegex") return compileRegex(pattern.value);
  if (pattern.case === undefined) throw new BadResource("the kind of a string matcher is not supported");
  const fold = (text: string | undefined): string | undefined => (ignoreCase ? text?.toLowerCase() : text);
  const wanted = fold(pattern.value) ?? "";
  switch (pattern.case) {
    case "exact":
      return (value) => fold(value) === wanted;
    case "prefix":
      return (value) => fold(value)?.startsWith(wanted) === true;
    case "suffix":
      return (value) => fold(value)?.endsWith(wanted) === true;
    default:
      return (value) => fold(value)?.includes(wanted) === true;
  }
}

/** A test of whole texts. @throws BadResource if the expression is none of those that RE2 and JavaScript share */
export function compileRegex({ regex }: RegexMatcher): Match {
  let compiled: RegExp;
  try {
    compiled = new RegExp(`^(?:${regex})$`, "s");
  } catch {
    throw new BadResource(`the regular expression ${regex} is not supported`);
  }
  return (value) => value !== undefined && compiled.test(value);
}
