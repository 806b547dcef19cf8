/**
 * `node:http`, the part of it that servers need.
 *
 * An `import` of it makes every export it has, a web socket client and all that fetches among them, which takes longer
 * than most of the rest of a start.
 */
export const { createServer, METHODS, ServerResponse, STATUS_CODES } = process.getBuiltinModule("node:http");
