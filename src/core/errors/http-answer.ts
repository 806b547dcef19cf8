import type { ConnectError } from "@connectrpc/connect";

/** What REST clients get for an error in place of its code and text: the answer of another server, as it is. */
export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case; a name may come several times. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

const answers = new WeakMap<ConnectError, HttpAnswer>();

const statuses = new WeakMap<ConnectError, number>();

/** Sets the HTTP status of an error where it is more specific than that of the code: 415, 406. */
export function setHttpStatus(error: ConnectError, status: number): void {
  statuses.set(error, status);
}

/** The HTTP status that was set for an error; undefined for that of its code. */
export function ownHttpStatus(error: ConnectError): number | undefined {
  return statuses.get(error);
}

/** Sets what REST clients get for an error. Clients of other protocols get the error itself. */
export function setHttpAnswer(error: ConnectError, answer: HttpAnswer): void {
  answers.set(error, answer);
}

/** What REST clients get for an error; undefined for the usual answer. */
export function httpAnswerOf(error: ConnectError): HttpAnswer | undefined {
  return answers.get(error);
}
