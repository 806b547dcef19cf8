import type { DescMethod } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import type { Invoker } from "../call/invoker.ts";
import { rpcName } from "../call/service.ts";
import { toTransport } from "../call/transport.ts";
import { show } from "../config/check-options.ts";
import { Code, ConnectError } from "../errors/errors.ts";
import { SetupError } from "../errors/setup-error.ts";
import { Selector } from "../policy/selector.ts";
import { choosing, ofOneForm } from "../call/invoker-forms.ts";
import { reachableTransport } from "./side.ts";

/**
 * A transport that chooses another one by the rpc: `route({ "users.v1.*": users, "orders.v1.*": orders })`.
 *
 * Names are selectors: `package.Service/Method`, `package.Service/*`, `package.*` or `*`, several with commas. The one
 * that names an rpc most exactly decides. Calls of other rpcs are UNIMPLEMENTED.
 *
 * @throws SetupError for a name that is no selector, or a value that is no transport
 */
export function route(transports: Readonly<Record<string, Transport>>): Transport {
  if (typeof transports !== "object" || transports === null || Object.keys(transports).length === 0) {
    throw new SetupError(`route: give transports by selectors, not ${show(transports)}`);
  }
  const names = Object.keys(transports).flatMap((text) =>
    text.split(",").map((part) => ({ text, selector: new Selector(part) })),
  );
  // The longest pattern is the most exact one: those that match one rpc begin alike.
  const length = (selector: Selector): number => selector.text.trim().replace(/\*$/, "").length;
  const exact = names.toSorted((a, b) => length(b.selector) - length(a.selector));
  const sides = Object.entries(transports).map(
    ([text, transport]) => reachableTransport(transport, `route: ${text}`).invoker,
  );
  const texts = Object.keys(transports);
  const over = (invokers: readonly Invoker[]): Invoker => {
    const forms = ofOneForm(invokers);
    const known = new WeakMap<DescMethod, Invoker>();
    const choose = (method: DescMethod): Invoker => {
      let invoker = known.get(method);
      if (invoker !== undefined) return invoker;
      const found = exact.find(({ selector }) => selector.matches(method));
      invoker = found && forms[texts.indexOf(found.text)];
      if (invoker === undefined) {
        throw new ConnectError(`${rpcName(method)} has no route here`, Code.Unimplemented);
      }
      known.set(method, invoker);
      return invoker;
    };
    const [form] = forms;
    if (form === undefined) throw new SetupError("route: there is no transport"); // Not so, see above.
    return choosing(form, choose);
  };
  const hasUnobserved = sides.some(({ unobserved }) => unobserved !== undefined);
  return toTransport({
    ...over(sides),
    ...(hasUnobserved && { unobserved: over(sides.map((side) => side.unobserved ?? side)) }),
  });
}
