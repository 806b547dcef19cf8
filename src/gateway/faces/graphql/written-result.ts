import type { ShownResult } from "./errors.ts";

/** A result without errors whose JSON is written already. */
export class WrittenResult {
  readonly text: string;

  /** @param data the JSON of its data */
  constructor(data: string) {
    this.text = `{"data":${data}}`;
  }
}

/** The result of an operation, or of an event of a subscription. */
export type OperationResult = ShownResult | WrittenResult;

/** The JSON of a result. */
export function textOfResult(result: OperationResult): string {
  return result instanceof WrittenResult ? result.text : JSON.stringify(result);
}
