import { Code, ConnectError } from "../errors/errors.ts";
import { noTerms, type AttemptedCall, type StreamSource } from "../http2/stream-source.ts";

/** A call of an rpc whose policy cannot be used. */
export class RefusedCall implements StreamSource {
  readonly terms = noTerms;
  readonly previousAttempts = 0;
  readonly #error: ConnectError;

  /** @param cause a `SetupError` that names the policy, for the log */
  constructor(name: string, cause: unknown) {
    const text = `${name}: the policy of the rpc cannot be used`;
    this.#error = new ConnectError(text, Code.Internal, undefined, undefined, cause);
  }

  begin(call: AttemptedCall): void {
    call.refuse(this.#error);
  }

  answered(): void {}

  ended(): boolean {
    return false;
  }

  abandoned(): void {}
}
