import { type DescMessage, equals, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "../core/errors/errors.ts";
import type { Saga } from "./saga.ts";
import type { SagaStatus } from "./saga-status.ts";

/** What the database says; UNAVAILABLE where it cannot be asked. */
export async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (reason) {
    throw unavailable(reason);
  }
}

/** UNAVAILABLE with what the database says. */
export function unavailable(reason: unknown): ConnectError {
  const text = reason instanceof Error ? reason.message : String(reason);
  const message = `the database of the sagas cannot be used: ${text}`;
  return new ConnectError(message, Code.Unavailable, undefined, [], reason);
}

export function unknownSaga(id: string): ConnectError {
  return new ConnectError(`there is no saga ${id}`, Code.NotFound);
}

/** Why a saga cannot be changed. @param status undefined for an unknown id */
export function refusal(id: string, status: SagaStatus | undefined, problem: string): ConnectError {
  if (status === undefined) return unknownSaga(id);
  const pivot = status.pivot === undefined ? "" : `, past its pivot ${status.pivot}`;
  return new ConnectError(`saga ${id} ${problem}: it is ${status.state}${pivot}`, Code.FailedPrecondition);
}

/** @throws ConnectError ALREADY_EXISTS if what is known under an id is another saga, or has another input */
export function checkSame<I extends DescMessage>(
  { name, input }: Saga<I>,
  message: MessageShape<I>,
  id: string,
  known: { readonly name: string; readonly input: Uint8Array },
): void {
  if (known.name !== name) {
    throw new ConnectError(`the saga id ${id} is that of a saga ${known.name}`, Code.AlreadyExists);
  }
  if (!equals(input, message, fromBinary(input, known.input))) {
    throw new ConnectError(`saga ${id} has begun with another input`, Code.AlreadyExists);
  }
}
