import { randomUUID } from "node:crypto";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { OutgoingMessage, Published } from "../broker.ts";
import type { CloudEvent } from "../cloud-event.ts";
import { sentText } from "../publish-outcome.ts";
import { queueName } from "../queue-names.ts";
import { codeOf } from "./nats-errors.ts";
import { type StoredForm, toNats } from "./nats-message.ts";

/** What has become of a message. */
export type Outcome = Published | ConnectError;

/** By what NATS knows a message that comes again. */
const idHeader = "Nats-Msg-Id";

let lastNumber = 0;

/** One message on its way, until its outcome is known. */
export class Publication {
  readonly form: StoredForm;
  /** Counts up in the order of the calls. */
  readonly number = ++lastNumber;
  /** `id` of the CloudEvent; empty without one. */
  readonly id: string;
  readonly topic: string;
  /** What takes it, for errors. */
  readonly target: string;
  /** Whether it is refused where nothing takes it. */
  readonly isMandatory: boolean;
  /** Whether it has been sent: NATS may have stored it. */
  isSent = false;
  readonly #ended: (outcome: Outcome) => void;
  #isOver = false;

  /** @param ended is called once, with its outcome */
  constructor(message: OutgoingMessage, ended: (outcome: Outcome) => void) {
    const { to, event, mandatory } = message;
    this.id = event?.id ?? "";
    this.topic = to.topic;
    this.target = to.kind === "queue" ? queueName(to.topic, to.group, to.queue) : to.topic;
    this.isMandatory = mandatory;
    // A message is moved with its id, any number of times: each of these is another one to NATS.
    const isMoved = to.kind === "queue" || event === undefined;
    this.form = toNats(message, { [idHeader]: isMoved ? randomUUID() : identityOf(event) });
    this.#ended = ended;
  }

  /** Whether its outcome is known. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** NATS has stored it. @param offset its number in the stream */
  confirm(offset: number): void {
    this.end({ id: this.id, topic: this.topic, offset: BigInt(offset), confirmed: true });
  }

  /** It is waited for no more. @param why what has kept it */
  abandon(why: string, code: Code = Code.Unavailable): void {
    if (!this.#isOver) this.end(new ConnectError(`${sentText(this.isSent, this.id)}: ${why}`, code));
  }

  end(outcome: Outcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#ended(outcome);
  }
}

/** What makes an event one: `source` and `id` together, of two texts without a space one each. */
function identityOf({ source, id }: CloudEvent): string {
  return `${encodeURI(source.toWellFormed())} ${encodeURI(id.toWellFormed())}`;
}

/**
 * The messages of one call, which hear when its signal fires.
 *
 * @param begin is given them, unless the signal has fired already
 * @param hindrance what keeps messages from being sent or confirmed
 */
export function publishBatch(
  messages: readonly OutgoingMessage[],
  signal: AbortSignal,
  begin: (publication: Publication, message: OutgoingMessage) => void,
  hindrance: () => string,
): Promise<readonly Outcome[]> {
  if (messages.length === 0) return Promise.resolve([]);
  return new Promise((resolve) => {
    const outcomes: Outcome[] = [];
    let left = messages.length;
    const publications = messages.map(
      (message, at) =>
        new Publication(message, (outcome) => {
          outcomes[at] = outcome;
          if (--left > 0) return;
          signal.removeEventListener("abort", aborted);
          resolve(outcomes);
        }),
    );
    const aborted = (): void => {
      const why = hindrance();
      for (const publication of publications) publication.abandon(why, codeOf(signal));
    };
    if (signal.aborted) return aborted();
    signal.addEventListener("abort", aborted);
    publications.forEach((publication, at) => {
      const message = messages[at];
      if (message !== undefined) begin(publication, message);
    });
  });
}
