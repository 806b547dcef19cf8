import { createHash } from "node:crypto";
import { clone, toBinary } from "@bufbuild/protobuf";
import {
  type CheckRequest,
  CheckRequestSchema,
  type CheckResponse,
} from "../../../../gen/envoy/service/auth/v3/external_auth_pb.ts";

/** The most answers that are remembered; the oldest one is forgotten for a further one. */
const mostAnswers = 10_000;

interface Answer {
  readonly response: CheckResponse;
  readonly untilMs: number;
}

/** Answers of an authorizer, by what it was asked. */
export class AnswerCache {
  readonly #ttlMs: number;
  readonly #answers = new Map<string, Answer>();

  constructor(ttlMs: number) {
    this.#ttlMs = ttlMs;
  }

  /** The key of a question: a hash of all that is sent but time and id. */
  keyOf(request: CheckRequest): string {
    const question = clone(CheckRequestSchema, request);
    const asked = question.attributes?.request;
    if (asked !== undefined) {
      asked.time = undefined;
      if (asked.http !== undefined) asked.http.id = "";
    }
    return createHash("sha256").update(toBinary(CheckRequestSchema, question)).digest("base64");
  }

  get(key: string, nowMs: number): CheckResponse | undefined {
    const answer = this.#answers.get(key);
    if (answer === undefined) return undefined;
    if (answer.untilMs > nowMs) return answer.response;
    this.#answers.delete(key);
    return undefined;
  }

  set(key: string, response: CheckResponse, nowMs: number): void {
    this.#answers.delete(key);
    this.#answers.set(key, { response, untilMs: nowMs + this.#ttlMs });
    if (this.#answers.size <= mostAnswers) return;
    const [oldest] = this.#answers.keys();
    if (oldest !== undefined) this.#answers.delete(oldest);
  }
}
