import type { MadeInvoker } from "../core/call/invoker-source.ts";
import { systemClock, type Clock } from "../core/time/clock.ts";
import { type BrokerDialOptions, mergeBrokerDialOptions } from "./broker-dial-options.ts";
import { BrokerInvoker } from "./broker-invoker.ts";
import type { Broker } from "./broker.ts";
import type { MadeMessage } from "./new-message.ts";
import { OpenCalls } from "./open-calls.ts";
import { Sender } from "./sender.ts";
import { senderDefaults } from "./sender-options.ts";
import type { WaitCaller } from "./wait.ts";

/** What `dial` makes of a broker: what each broker has as its member `makeInvoker`. @throws SetupError naming the option */
export function dialBroker(
  broker: Broker,
  options: Partial<BrokerDialOptions>,
  clock: Clock = systemClock,
): MadeInvoker {
  const merged = mergeBrokerDialOptions(options);
  const sender = new Sender(
    broker,
    { ...merged, timeoutMs: merged.timeoutMs ?? senderDefaults.timeoutMs },
    clock,
  );
  const call = broker.call?.bind(broker);
  const cancelCall = broker.cancelCall?.bind(broker);
  const calls = call === undefined ? undefined : new OpenCalls({ call, cancelCall }, clock, merged);
  const send = (message: MadeMessage, caller: WaitCaller) => sender.send(message, { caller });
  return {
    invoker: new BrokerInvoker({ system: broker.system, send, calls }, merged),
    isReady: () => broker.state === "ready",
    ready: () => broker.check(),
  };
}
