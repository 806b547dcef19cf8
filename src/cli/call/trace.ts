import type { DescMethod } from "@bufbuild/protobuf";
import { codeName } from "../../core/errors/code-name.ts";
import type { ConnectError } from "../../core/errors/errors.ts";
import { rpcName } from "../../core/call/service.ts";
import type { CallTarget } from "./call-target.ts";

/** What `--verbose` prints of a call, on standard error: `>` stands before what was sent, `<` before what came. */
export class Trace {
  readonly #isOn: boolean;
  readonly #startedAt = performance.now();

  constructor(isOn: boolean, method: DescMethod, { name, protocol }: CallTarget, headers: Headers) {
    this.#isOn = isOn;
    this.#print(`> ${rpcName(method)} to ${name} by ${protocol}`, ...fields(">", headers));
  }

  headers(headers: Headers): void {
    this.#print(`< headers after ${this.#elapsed()}`, ...fields("<", headers));
  }

  end(trailers: Headers): void {
    this.#print(`< OK after ${this.#elapsed()}`, ...fields("<", trailers));
  }

  failed({ code, metadata }: ConnectError): void {
    this.#print(`< ${codeName(code)} after ${this.#elapsed()}`, ...fields("<", metadata));
  }

  #elapsed(): string {
    return `${(performance.now() - this.#startedAt).toFixed(1)} ms`;
  }

  #print(...lines: readonly string[]): void {
    if (this.#isOn) process.stderr.write(lines.map((line) => `${line}\n`).join(""));
  }
}

function fields(mark: string, headers: Headers): string[] {
  return [...headers].map(([name, value]) => `${mark}   ${name}: ${value}`);
}
