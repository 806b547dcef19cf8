import type { DescMethod } from "@bufbuild/protobuf";
import type { Admit } from "../../../core/admission/admission.ts";
import { Code, ConnectError } from "../../../core/errors/errors.ts";
import { rpcName } from "../../../core/call/service.ts";
import { callKind, type DoorKit } from "../door-kit.ts";
import type { CallKind } from "../open-call.ts";
import type { ServedRpcs } from "../served-rpcs.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import { compileFrameCodec, type FrameCodec } from "./frame-codec.ts";
import { compileSocketCalls, type SocketRun } from "./socket-run.ts";

/** An rpc that is called by its name. */
export interface CallableMethod {
  readonly method: DescMethod;
  readonly kind: CallKind;
  readonly kit: DoorKit;
  readonly codec: FrameCodec;
  readonly run: SocketRun;
  /** Asks the gates about another token for calls under way; undefined where none is to be asked. */
  readonly admitAgain: Admit | undefined;
  /** Whether it has one request message. */
  readonly takesOne: boolean;
}

/** The rpcs of one set by their names; each is compiled when it is first called. */
export class CallableMethods {
  readonly #rpcs: ServedRpcs;
  readonly #kit: DoorKit;
  readonly #routes: ReadonlyMap<string, Route>;
  readonly #compiled = new Map<string, CallableMethod>();

  constructor(rpcs: ServedRpcs, kit: DoorKit) {
    this.#rpcs = rpcs;
    this.#kit = kit;
    this.#routes = new Map(rpcs.router.routes.map((route) => [rpcName(route.method), route]));
  }

  /**
   * The rpc `package.Service/Method`.
   *
   * @throws ConnectError UNIMPLEMENTED if there is none
   */
  find(name: string): CallableMethod {
    let callable = this.#compiled.get(name);
    if (callable === undefined) {
      const route = this.#routes.get(name);
      if (route === undefined) {
        throw new ConnectError(`no rpc is called ${JSON.stringify(name)}`, Code.Unimplemented);
      }
      callable = compile(route, this.#rpcs.kitOf(route.method, route.template.text, this.#kit));
      this.#compiled.set(name, callable);
    }
    return callable;
  }
}

function compile(route: Route, kit: DoorKit): CallableMethod {
  const { method } = route;
  const whole: Route = { ...route, variables: [], bodyField: "*", responseField: undefined };
  const { run, inBytes } = compileSocketCalls(kit, method);
  const codec = compileFrameCodec(whole, kit, "json", inBytes);
  if (codec === undefined) throw new TypeError("every message has a JSON form");
  return {
    method,
    kind: callKind(method, "websocket", kit),
    kit,
    codec,
    run,
    admitAgain: kit.admission?.again(method, kit.limits.defaultTimeoutMs),
    takesOne: method.methodKind === "unary" || method.methodKind === "server_streaming",
  };
}
