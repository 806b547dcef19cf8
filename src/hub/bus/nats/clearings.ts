import type { NatsLine } from "../../../core/nats/nats-line.ts";
import { epochOf } from "./nats-topic.ts";
import type { HubSubjects } from "./subjects.ts";

/** How many rooms are remembered. */
const most = 10_000;

/** Which rooms were cleared: each of them has an epoch of its own from then on. */
export class Clearings {
  readonly #subjects: HubSubjects;
  /** Whether any room was ever cleared; undefined while that is not known. */
  #isAny: boolean | undefined;
  /** What began when a room was cleared last; empty for one that never was. */
  readonly #begins = new Map<string, string>();

  constructor(subjects: HubSubjects) {
    this.#subjects = subjects;
  }

  /** Looks anew, over another connection. @throws Error of NATS */
  async load(line: NatsLine): Promise<void> {
    this.#begins.clear();
    this.#isAny = undefined;
    const asked = JSON.stringify({ seq: 1, next_by_subj: this.#subjects.ofAllCleared });
    const answer = await line.request(`$JS.API.DIRECT.GET.${this.#subjects.state}`, asked);
    this.#isAny = answer.headers?.code !== 404;
  }

  cleared(path: string, begins: string): void {
    this.#isAny = true;
    this.#remember(path, begins);
  }

  /** The epoch of a room; undefined where it has to be asked for. @param epoch that of its topic */
  known(path: string, epoch: string): string | undefined {
    const begins = this.#isAny === false ? "" : this.#begins.get(path);
    if (begins === undefined) return undefined;
    return begins === "" ? epoch : epochOf(`${epoch} ${begins}`);
  }

  /** As `known`. @throws Error of NATS */
  async epochOf(line: NatsLine, path: string, epoch: string): Promise<string> {
    if (this.known(path, epoch) === undefined) {
      const { state } = this.#subjects;
      const answer = await line.request(`$JS.API.DIRECT.GET.${state}.${this.#subjects.cleared(path)}`);
      if (!this.#begins.has(path)) this.#remember(path, answer.headers?.code === 404 ? "" : answer.string());
    }
    return this.known(path, epoch) ?? epoch;
  }

  #remember(path: string, begins: string): void {
    if (this.#begins.size >= most) this.#begins.clear(); // They are asked for again.
    this.#begins.set(path, begins);
  }
}
