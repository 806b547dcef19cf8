import {
  type HeaderValueOption,
  HeaderValueOption_HeaderAppendAction as Action,
} from "../../../../gen/envoy/config/core/v3/base_pb.ts";
import { isReservedHeader } from "../../metadata/reserved-headers.ts";

const validName = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
const badValue = /[^\t\x20-\x7e\x80-\xff]/;
const decoder = new TextDecoder("latin1");

/**
 * Applies changes of headers as Envoy names them. Names that belong to a protocol, and what no header can hold, are left
 * alone.
 *
 * @param ignored called with each name that is left alone
 */
export function changeHeaders(
  headers: Headers,
  changes: readonly HeaderValueOption[],
  ignored: (name: string) => void,
): void {
  for (const change of changes) {
    const field = fieldOf(change);
    if (field === undefined || isProtected(field[0])) {
      ignored(field?.[0] ?? "");
      continue;
    }
    const [name, value] = field;
    switch (actionOf(change)) {
      case Action.ADD_IF_ABSENT:
        if (!headers.has(name)) headers.set(name, value);
        break;
      case Action.OVERWRITE_IF_EXISTS_OR_ADD:
        headers.set(name, value);
        break;
      case Action.OVERWRITE_IF_EXISTS:
        if (headers.has(name)) headers.set(name, value);
        break;
      default:
        headers.append(name, value);
    }
  }
}

/** Removes headers, but none that belongs to a protocol. */
export function removeHeaders(
  headers: Headers,
  names: readonly string[],
  ignored: (name: string) => void,
): void {
  for (const given of names) {
    const name = given.toLowerCase();
    if (isProtected(name) || !validName.test(name)) ignored(name);
    else headers.delete(name);
  }
}

/** Name, in lower case, and value of a change; undefined for what no header can hold. */
export function fieldOf({ header }: HeaderValueOption): readonly [name: string, value: string] | undefined {
  const name = header?.key.toLowerCase() ?? "";
  const value =
    header === undefined ? "" : header.value === "" ? decoder.decode(header.rawValue) : header.value;
  return validName.test(name) && !badValue.test(value) ? [name, value] : undefined;
}

/** Whether a header belongs to a protocol, so that an answer may not set it. */
export function isProtected(name: string): boolean {
  return isReservedHeader(name) || name.startsWith("content-");
}

/** What the older field `append` says comes first. */
function actionOf({ append, appendAction }: HeaderValueOption): Action {
  if (append === undefined) return appendAction;
  return append ? Action.APPEND_IF_EXISTS_OR_ADD : Action.OVERWRITE_IF_EXISTS_OR_ADD;
}
