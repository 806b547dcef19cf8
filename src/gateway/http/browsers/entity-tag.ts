import { hash } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";

/**
 * Sets the `ETag` of a response with status 200 to GET or HEAD: the one that the service has set, or a weak one of the
 * content.
 *
 * @returns whether the client has that content already; then the response is 304 without a body (RFC 9110, section
 *   13.1.2)
 */
export function tagEntity(request: FastifyRequest, reply: FastifyReply, payload: string | Buffer): boolean {
  const { method } = request;
  if (reply.statusCode !== 200 || (method !== "GET" && method !== "HEAD")) return false;
  const own = reply.getHeader("etag");
  const tag = typeof own === "string" && own !== "" ? own : `W/"${hash("sha1", payload, "base64url")}"`;
  if (tag !== own) void reply.header("etag", tag);
  const wanted = request.raw.headers["if-none-match"];
  if (wanted === undefined || !matchesTag(wanted, tag)) return false;
  void reply.code(304).removeHeader("content-type").removeHeader("content-length");
  return true;
}

const listed = /(?:W\/)?"[^"]*"/g;

/** Whether an `If-None-Match` contains a tag, by weak comparison. */
export function matchesTag(ifNoneMatch: string, tag: string): boolean {
  if (ifNoneMatch.trim() === "*") return true;
  const opaque = tag.replace(/^W\//, "");
  return (ifNoneMatch.match(listed) ?? []).some((candidate) => candidate.replace(/^W\//, "") === opaque);
}
