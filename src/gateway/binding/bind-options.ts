import type { Registry } from "@bufbuild/protobuf";
import { jsonReadDefaults, type JsonReadOptions } from "../../core/codec/json-trace.ts";
import type { BodyFormat } from "../http/media-type.ts";
import { type QueryOptions, queryDefaults } from "../http/query.ts";
import type { QueryBinderOptions } from "./query-binder.ts";
import { textFormDefaults, type TextForms } from "./text-forms.ts";

/** The parts of an HTTP request that are bound to its message. */
export interface BindRequest {
  /** The decoded values of the route's variables, in the order of the variables. */
  readonly captures: readonly string[];
  /** The raw query without `?`; empty if there is none. */
  readonly query: string;
  /** The body after decoding all transfer and content codings; undefined or empty if there is none. */
  readonly body: Uint8Array | string | undefined;
  /** Format of the body. Default `json`. */
  readonly format?: BodyFormat;
}

/** Options of request binding where the contract does not specify it. */
export interface BindOptions
  extends QueryOptions, Pick<QueryBinderOptions, "unknownQuery" | "allowedQuery" | "systemParameters"> {
  /** Unknown members of a JSON body: skipped and reported, or refused with one violation per name. Default `ignore`. */
  readonly unknownFields: "ignore" | "reject";
  /**
   * Unknown names of enum values: 400, or dropped and reported like unknown fields and parameters, if those are
   * ignored. In a path they are always 400. Default `reject`.
   */
  readonly unknownEnums: "reject" | "ignore";
  /** If body and path have different values for a field: the path's value is used, or 400. Default `path-wins`. */
  readonly conflicts: "path-wins" | "reject";
  /** A body of a request whose rule has no `body`: ignored, or 400. Default `ignore`. */
  readonly unexpectedBody: "ignore" | "reject";
  /** Additional spellings of values and names. Default: the standard ones only. */
  readonly forms: TextForms;
  /** Most fields in the path that a query parameter names. Default 32. */
  readonly maxFieldDepth: number;
  /** Most levels of nested objects and arrays in a JSON body. Default 100. */
  readonly maxJsonDepth: number;
  /**
   * Most entries of maps, members and elements of free-form values (`Struct`, `Value`, `ListValue`, `Any`), and unknown
   * members in one JSON text; 0 for any number. Default 100,000.
   */
  readonly maxJsonEntries: number;
  /** Types that `google.protobuf.Any` may contain in a JSON body in addition to the standard ones. Default none. */
  readonly registry?: Registry | undefined;
  /**
   * Called by `bind` for each unknown name that it ignores: the name of a query parameter as the client wrote it, or
   * the path of a member of the body. Default none.
   */
  readonly onIgnored?: ((place: "query" | "body", name: string) => void) | undefined;
}

/** The defaults of {@link BindOptions}. */
export const bindDefaults: BindOptions = Object.freeze({
  ...queryDefaults,
  unknownQuery: "ignore",
  allowedQuery: [],
  systemParameters: false,
  unknownFields: "ignore",
  unknownEnums: "reject",
  conflicts: "path-wins",
  unexpectedBody: "ignore",
  forms: textFormDefaults,
  maxFieldDepth: 32,
  maxJsonDepth: jsonReadDefaults.maxDepth,
  maxJsonEntries: jsonReadDefaults.maxEntries,
});

/** The binding options that apply to JSON. */
export type JsonBindOptions = Pick<
  BindOptions,
  "unknownFields" | "unknownEnums" | "maxJsonDepth" | "maxJsonEntries" | "registry" | "onIgnored"
>;

/** The options of the JSON reader for these binding options. */
export function jsonReadOptions(options: JsonBindOptions): JsonReadOptions {
  const { unknownFields, unknownEnums, maxJsonDepth, maxJsonEntries, registry, onIgnored } = options;
  return {
    unknownFields,
    unknownEnums,
    maxDepth: maxJsonDepth,
    maxEntries: maxJsonEntries,
    registry,
    onUnknownField: onIgnored && ((path) => onIgnored("body", path)),
  };
}
