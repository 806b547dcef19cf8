import type { DescMethod } from "@bufbuild/protobuf";
import { choosing, withBytes, type BytesInvoker } from "../../core/call/invoker-forms.ts";
import type { Invoker } from "../../core/call/invoker.ts";

/** What makes the calls of each rpc that was called: it is chosen at the first call, and remembered. */
export class ChosenInvokers {
  /** Makes each call by what is chosen for its rpc; with a form without the observers of servers of this process. */
  readonly invoker: Invoker;
  readonly #observed = new Map<DescMethod, BytesInvoker>();
  readonly #unobserved = new Map<DescMethod, BytesInvoker>();

  /**
   * @param form an invoker with every form of calls
   * @param choose gives what makes the calls of an rpc, and throws a ConnectError where there is nothing
   */
  constructor(form: BytesInvoker, choose: (method: DescMethod) => BytesInvoker) {
    const observed = choosing(form, (method) => remembered(this.#observed, method, () => choose(method)));
    const unobserved = choosing(form, (method) =>
      remembered(this.#unobserved, method, () => {
        const chosen = choose(method);
        return chosen.unobserved === undefined ? chosen : withBytes(chosen.unobserved);
      }),
    );
    this.invoker = { ...observed, unobserved };
  }

  /** From the next call on, other invokers may be right. */
  forget(): void {
    this.#observed.clear();
    this.#unobserved.clear();
  }
}

function remembered(
  known: Map<DescMethod, BytesInvoker>,
  method: DescMethod,
  choose: () => BytesInvoker,
): BytesInvoker {
  let invoker = known.get(method);
  if (invoker === undefined) known.set(method, (invoker = choose()));
  return invoker;
}
