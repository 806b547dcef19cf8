import { RulesService } from "../../../gen/tsms/test/v1/rules_pb.ts";
import type { Service } from "../../../src/index.ts";

/** Counts what reaches its handlers; gives the replies that a test wants. */
export class Rules implements Service<typeof RulesService> {
  readonly descriptor = RulesService;
  calls = 0;
  messages = 0;
  state = "taken";

  order(): { state: string } {
    this.calls++;
    return { state: this.state };
  }

  async *watch(): AsyncGenerator<{ state: string }> {
    this.calls++;
    yield { state: "first" };
    yield { state: this.state };
  }

  async import(requests: AsyncIterable<unknown>): Promise<{ count: number }> {
    this.calls++;
    let count = 0;
    for await (const _ of requests) {
      count++;
      this.messages++;
    }
    return { count };
  }

  async *talk(requests: AsyncIterable<{ word: string }>): AsyncGenerator<{ word: string }> {
    this.calls++;
    for await (const { word } of requests) {
      this.messages++;
      yield { word };
    }
  }

  free({ text }: { text: string }): { text: string } {
    this.calls++;
    return { text };
  }
}
