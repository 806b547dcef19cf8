/** OpenAPI documents of the rpcs of a server, `ts-ms/openapi`. */
export { openapi } from "../gateway/faces/openapi/openapi.ts";
export type { OpenapiOptions } from "../gateway/faces/openapi/openapi-options.ts";
export type { Contract, Face, FaceHost, FaceOptions, FacePath, MountedFace } from "../gateway/faces/face.ts";
export type { CommentSource } from "../gateway/faces/comment-files.ts";
