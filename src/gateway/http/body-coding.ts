import type { RequestHead } from "./exchange.ts";
import { type ConnectError, invalidArgument } from "../../core/errors/errors.ts";
import type { Coding } from "../../core/wire/codings/coding.ts";
import { codingsByName } from "../../core/wire/codings/codings.ts";
import { HttpError } from "./http-error.ts";

/** Codings that bodies of requests may have: all. */
const bodyCodings = codingsByName();

const known = [...bodyCodings.keys(), "identity"].join(", ");

/**
 * The coding of a request body by its `Content-Encoding`; undefined for none.
 *
 * @throws HttpError 415 for an unknown one
 */
export function bodyCoding({ headers }: Pick<RequestHead, "headers">): Coding | undefined {
  const encoding = headers["content-encoding"];
  if (encoding === undefined) return undefined;
  const name = encoding.trim().toLowerCase();
  const coding = bodyCodings.get(name);
  if (coding !== undefined || name === "identity") return coding;
  throw new HttpError(415, `content encoding "${encoding}" is not supported; use ${known}`, {
    headers: { "accept-encoding": known },
  });
}

/** The error of a body whose bytes are not those of its coding. */
export function brokenBody(): ConnectError {
  return invalidArgument("the compressed request body is broken");
}
