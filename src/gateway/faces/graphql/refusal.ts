/** A request that is not executed for a reason of the server's own, whatever the client accepts. */
export class Refusal extends Error {
  /** Label of metrics. */
  readonly reason: string;
  /** HTTP status. */
  readonly status: number;
  /** `code` of the error's extensions. */
  readonly code: string;

  constructor(reason: string, message: string, { status = 400, code = "INVALID_ARGUMENT" } = {}) {
    super(message);
    this.reason = reason;
    this.status = status;
    this.code = code;
  }
}
