import { Code, ConnectError } from "../../core/errors/errors.ts";

/** The errors of Kafka's protocol that are told apart, by their codes. */
export const kafkaCodes = Object.freeze({
  offsetOutOfRange: 1,
  corrupt: 2,
  unknownTopic: 3,
  messageTooLarge: 10,
  loading: 14,
  coordinatorAway: 15,
  notCoordinator: 16,
  invalidTopic: 17,
  batchTooLarge: 18,
  illegalGeneration: 22,
  inconsistentProtocol: 23,
  unknownMember: 25,
  invalidSessionTimeout: 26,
  rebalancing: 27,
  topicRefused: 29,
  groupRefused: 30,
  clusterRefused: 31,
  topicExists: 36,
  invalidPartitions: 37,
  invalidReplicas: 38,
  invalidConfig: 40,
  policy: 44,
  outOfOrder: 45,
  duplicateSequence: 46,
  invalidEpoch: 47,
  unknownProducer: 59,
  memberIdRequired: 79,
  fencedInstance: 82,
  invalidRecord: 87,
  unknownTopicId: 100,
});

const names: ReadonlyMap<number, string> = new Map(
  Object.entries(kafkaCodes).map(([name, code]) => [code, name]),
);

/** An error that Kafka has answered with. */
export class KafkaError extends Error {
  override readonly name = "KafkaError";
  readonly code: number;

  /** @param what has failed, for people */
  constructor(what: string, code: number, said?: string | null) {
    const why = said ?? names.get(code) ?? "";
    super(`${what}: Kafka answers with error ${code}${why === "" ? "" : ` (${why})`}`);
    this.code = code;
  }
}

/** @throws KafkaError unless `code` is 0 */
export function throwCode(what: string, code: number, said?: string | null): void {
  if (code !== 0) throw new KafkaError(what, code, said);
}

/** The code of an error of Kafka; undefined for others. */
export function kafkaCodeOf(reason: unknown): number | undefined {
  return reason instanceof KafkaError ? reason.code : undefined;
}

/** The answer to a request, also where it says errors: the client throws these, with the answer, which has their codes. */
export async function answerTo<T>(request: Promise<T>): Promise<T> {
  try {
    return await request;
  } catch (reason) {
    if (reason instanceof Error && "response" in reason && reason.response != null) {
      return reason.response as T; // The client's `ResponseError` has the answer that it has parsed.
    }
    throw reason;
  }
}

/** The text of an error, with what has caused it: the client wraps errors of sockets. */
export function textOf(reason: unknown): string {
  if (!(reason instanceof Error)) return String(reason);
  const inner: unknown = reason.cause ?? (reason instanceof AggregateError ? reason.errors[0] : undefined);
  const cause = inner instanceof Error ? ` (${inner.message})` : "";
  return `${reason.message.replace(/^Kafka: /, "").replace(/\.$/, "")}${cause}`;
}

/** UNAVAILABLE with the text of what has failed. */
export function unavailable(reason: unknown): ConnectError {
  if (reason instanceof ConnectError) return reason;
  return new ConnectError(`Kafka: ${textOf(reason)}`, Code.Unavailable, undefined, undefined, reason);
}

/** What an error of a wait that has ended has: that of its reason, or UNAVAILABLE. */
export function codeOf({ reason }: { readonly reason: unknown }): Code {
  return reason instanceof ConnectError ? reason.code : Code.Unavailable;
}

/** What Kafka says of a message that it does not take, now or ever; undefined where it is worth another try. */
export function refusalOf(topic: string, code: number): ConnectError | undefined {
  const refused = (why: string, as: Code): ConnectError =>
    new ConnectError(`not sent: Kafka: ${why}`, as, undefined, undefined, new KafkaError(topic, code));
  switch (code) {
    case kafkaCodes.messageTooLarge:
    case kafkaCodes.batchTooLarge:
      return refused(`the message is larger than the topic ${topic} takes`, Code.ResourceExhausted);
    case kafkaCodes.invalidTopic:
      return refused(`${JSON.stringify(topic)} is no name of a topic`, Code.InvalidArgument);
    case kafkaCodes.invalidRecord:
      return refused(
        `the topic ${topic} takes no such message, such as one without a key`,
        Code.InvalidArgument,
      );
    case kafkaCodes.topicRefused:
    case kafkaCodes.clusterRefused:
      return refused(`writing to the topic ${topic} is not allowed`, Code.PermissionDenied);
    default:
      return undefined;
  }
}
