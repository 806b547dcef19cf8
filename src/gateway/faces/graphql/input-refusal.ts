import { ConnectError, invalidArgument } from "../../../core/errors/errors.ts";

/** A value of an input that its message cannot have, with the path to it. */
export class InputRefusal extends Error {
  /** In proto names: `book.labels["a"]`. */
  readonly path: string;

  constructor(reason: string, path: string) {
    super(reason);
    this.path = path;
  }

  /** What was thrown for a value below `step`. */
  static at(step: string, reason: unknown): InputRefusal {
    if (!(reason instanceof InputRefusal)) {
      return new InputRefusal(textOf(reason), step);
    }
    const { path } = reason;
    return new InputRefusal(reason.message, path.startsWith("[") ? step + path : `${step}.${path}`);
  }

  /** The error for clients. */
  get error(): ConnectError {
    return invalidArgument(`${this.path}: ${this.message}`, [
      { field: this.path, description: this.message },
    ]);
  }
}

function textOf(reason: unknown): string {
  if (reason instanceof ConnectError) return reason.rawMessage;
  return reason instanceof Error ? reason.message : String(reason);
}
