import type { ConnectError } from "@connectrpc/connect";

/** What REST clients get for an error in place of its code and text: the answer of another server, as it is. */
export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case; a name may come several times. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

const answers = new WeakMap<ConnectError, HttpAnswer>();

/** Sets what REST clients get for an error. Clients of other protocols get the error itself. */
export function setHttpAnswer(error: ConnectError, answer: HttpAnswer): void {
  answers.set(error, answer);
}

/** What REST clients get for an error; undefined for the usual answer. */
export function httpAnswerOf(error: ConnectError): HttpAnswer | undefined {
  return answers.get(error);
}
