/**
 * The exports of `node:http` that servers need.
 *
 * An `import` evaluates all its exports, a WebSocket client and `fetch` among them: one of the slowest parts of a
 * start.
 */
export const { createServer, METHODS, ServerResponse, STATUS_CODES, validateHeaderValue } =
  process.getBuiltinModule("node:http");
