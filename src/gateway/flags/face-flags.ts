import { filesFlag } from "../../core/config/flag-kinds.ts";
import type { FlagValues } from "../../core/config/flags.ts";
import type { schemaFlags } from "../../core/schema/schema-flags.ts";
import { isLoopback } from "../../core/net/loopback.ts";
import type { CommentSource } from "../faces/comment-files.ts";
import type { HttpServerOptions } from "../http-server-options.ts";
import type { httpFlags } from "./http-flags.ts";
import { graphqlFace, graphqlFlags } from "./graphql-flags.ts";
import { mcpFace, mcpFlags } from "./mcp-flags.ts";
import { docsFace, docsFlags } from "./docs-flags.ts";
import { openapiFace, openapiFlags } from "./openapi-flags.ts";

/** Flags of faces. To add a face: a file such as `openapi-flags.ts`, its flags here and what makes it in `faces`. */
export const faceFlags = {
  ...docsFlags,
  ...openapiFlags,
  ...graphqlFlags,
  ...mcpFlags,
  comments: filesFlag(
    "Comments of the contracts: a descriptor set with source information, as buf build -o FILE writes it",
  ),
} as const;

type Flags = FlagValues<typeof faceFlags> &
  Pick<FlagValues<typeof httpFlags>, "httpHost"> &
  Partial<Pick<FlagValues<typeof schemaFlags>, "descriptors">>;

/** What makes the faces, in the order of their lines at the start. */
const faces = [docsFace, openapiFace, graphqlFace, mcpFace] as const;

/**
 * The options of an `HttpServer` for the faces that the flags ask for; those of other faces are not loaded.
 *
 * Comments are those of the sets of `--descriptors`, then those of `--comments`.
 *
 * @param comments in place of `--comments`, where that is not given. Default: none
 * @throws SetupError naming the package that a face needs and that is not installed
 */
export async function faceOptions(
  flags: Flags,
  comments: readonly CommentSource[] = [],
): Promise<Pick<HttpServerOptions, "faces" | "comments">> {
  const isLocal = isLoopback(flags.httpHost);
  const made = await Promise.all(faces.map((make) => make(flags, isLocal)));
  return {
    faces: made.filter((face) => face !== undefined),
    comments: [...(flags.descriptors ?? []), ...(flags.comments.length === 0 ? comments : flags.comments)],
  };
}
