import { Code, ConnectError, toCallError } from "../core/errors/errors.ts";

const returned = "no queue takes";

/** The outcome of a message that must have a reader, and has none. @param name what nothing reads: a topic, a queue, a service */
export function noQueue(name: string, code: Code = Code.Unavailable, cause?: unknown): ConnectError {
  return new ConnectError(`${returned} ${name}`, code, undefined, undefined, cause);
}

/** Whether an outcome is that of `noQueue`; known by its text, which passes through interceptors and networks. */
export function isReturned({ rawMessage }: ConnectError): boolean {
  return rawMessage.includes(returned);
}

/** What the text of a failed outcome says of a message: whether it may be stored. @param id `id` of its CloudEvent */
export function sentText(isSent: boolean, id: string): string {
  return isSent
    ? `sent and not confirmed: it may be stored; publish again with id ${id === "" ? "of its own" : id}`
    : "not sent";
}

/** The code of an outcome whose wait has ended. @param reason of the signal that has ended it; undefined for another cause */
export function endedCode(reason: unknown): Code {
  const code = reason === undefined ? undefined : toCallError(reason).code;
  return code === Code.DeadlineExceeded || code === Code.Canceled ? code : Code.Unavailable;
}
