/**
 * A reporter of Node's test runner for programs: each test that passed or failed as one line of JSON, and a line
 * of type `test:summary` when all have run.
 */
import { inspect } from "node:util";

// oxlint-disable-next-line import/no-default-export -- Node takes reporters so.
export default async function* events(source) {
  for await (const { type, data } of source) {
    if (type === "test:summary") yield `${JSON.stringify({ type })}\n`;
    if (type !== "test:pass" && type !== "test:fail") continue;
    const { name, file, line, nesting, details, skip, todo } = data;
    const error = details.error === undefined ? undefined : inspect(details.error.cause ?? details.error);
    const isSuite = details.type === "suite";
    const event = {
      type,
      name,
      file,
      line,
      nesting,
      isSuite,
      skipped: skip ?? todo,
      ms: details.duration_ms,
      error,
    };
    yield `${JSON.stringify(event)}\n`;
  }
}
