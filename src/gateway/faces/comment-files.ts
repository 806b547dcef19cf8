import { readFile } from "node:fs/promises";
import type { Comments } from "../../core/contract/comments.ts";
import { SetupError } from "../../core/errors/setup-error.ts";

/** Where comments are: a binary descriptor set with source information, or the path or the URL of a file with one. */
export type CommentSource = string | URL | Uint8Array;

/**
 * Reads comments when they are first asked for, and once. Rejects with a SetupError naming what cannot be read; the next
 * question reads again.
 */
export function commentsFrom(sources: CommentSource | readonly CommentSource[]): () => Promise<Comments> {
  const list = Array.isArray(sources) ? (sources as readonly CommentSource[]) : [sources as CommentSource]; // As its type says.
  let reading: Promise<Comments> | undefined;
  return () =>
    (reading ??= readAll(list).catch((reason: unknown) => {
      reading = undefined;
      throw reason;
    }));
}

async function readAll(sources: readonly CommentSource[]): Promise<Comments> {
  const { Comments } = await import("../../core/contract/comments.ts"); // Most programs have no faces.
  return new Comments(await Promise.all(sources.map(readOne)));
}

async function readOne(source: CommentSource): Promise<Uint8Array> {
  if (source instanceof Uint8Array) return source;
  try {
    return await readFile(source);
  } catch (cause) {
    throw new SetupError(`comments: ${String(source)} cannot be read`, { cause });
  }
}
