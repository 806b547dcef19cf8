import type { DescMethod } from "@bufbuild/protobuf";
import { codeName } from "../errors/code-name.ts";
import { rpcName } from "../call/service.ts";

/** What lines have in common. */
export interface LineKey {
  readonly rpc: string;
  readonly code: string;
}

interface Count extends LineKey {
  lines: number;
  leftOut: number;
}

/** Counts the lines of each rpc and code in a second, and says which are too many. */
export class LineLimit {
  readonly #most: number;
  readonly #report: (key: LineKey, leftOut: number) => void;
  readonly #counts = new Map<DescMethod | undefined, Map<number, Count>>();
  #timer: NodeJS.Timeout | undefined;

  /** @param report called at the end of a second in which lines were left out */
  constructor(most: number, report: (key: LineKey, leftOut: number) => void) {
    this.#most = most;
    this.#report = report;
  }

  /** Counts a line. @returns whether it may be written */
  allows(method: DescMethod | undefined, code: number): boolean {
    let codes = this.#counts.get(method);
    if (codes === undefined) this.#counts.set(method, (codes = new Map<number, Count>()));
    let count = codes.get(code);
    if (count === undefined) {
      const rpc = method === undefined ? "(none)" : rpcName(method);
      codes.set(code, (count = { rpc, code: codeName(code), lines: 0, leftOut: 0 }));
    }
    if (this.#timer === undefined) this.#timer = setTimeout(() => this.#second(), 1_000).unref();
    if (++count.lines <= this.#most) return true;
    count.leftOut++;
    return false;
  }

  #second(): void {
    this.#timer = undefined;
    for (const codes of this.#counts.values()) {
      for (const { rpc, code, leftOut } of codes.values()) {
        if (leftOut > 0) this.#report({ rpc, code }, leftOut);
      }
    }
    this.#counts.clear();
  }
}
