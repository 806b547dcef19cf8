/**
 * A reporter of Node's test runner for programs: every event that `tools/test.js` reads, as one line of JSON.
 */
import { inspect } from "node:util";

// oxlint-disable-next-line import/no-default-export -- Node takes reporters so.
export default async function* events(source) {
  for await (const { type, data } of source) {
    const event = lineOf(type, data);
    if (event !== undefined) yield `${JSON.stringify(event)}\n`;
  }
}

function lineOf(type, data) {
  switch (type) {
    case "test:pass":
    case "test:fail": {
      const { name, file, line, nesting, details, skip, todo } = data;
      const error = details.error === undefined ? undefined : inspect(details.error.cause ?? details.error);
      const isSuite = details.type === "suite";
      return {
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
    }
    case "test:summary":
      return { type, file: data.file, ms: data.duration_ms, success: data.success };
    case "test:stdout":
    case "test:stderr":
      return { type, file: data.file, message: data.message };
    default:
      return undefined;
  }
}
