import { rpcName } from "../../../core/call/service.ts";
import { pathOf } from "../../../core/net/request-target.ts";
import { answerOtherMethod } from "../../http/other-method.ts";
import { asksForWebSocket } from "../../http/websocket-handshake.ts";
import { HttpError } from "../../http/http-error.ts";
import type { HttpExchange } from "../../http/exchange.ts";
import type { Contract, FacePath } from "../../faces/face.ts";
import type { FaceProtocol } from "../../faces/face-call.ts";
import type { DoorHandler, MakeDoor } from "../door.ts";
import type { DoorKit } from "../door-kit.ts";
import type { ServedRpcs } from "../served-rpcs.ts";
import { faceRpc } from "./face-rpc.ts";

/** Faces: documents about the rpcs and further ways to call them, at exact paths. */
export const facesDoor: MakeDoor = (kit) => {
  const { faces, comments } = kit;
  return {
    name: "faces",
    claims: ({ url }) => faces !== undefined && faces.claims(url),
    serve(rpcs) {
      const { services, registry, router } = rpcs;
      const rpc = compileRpc(rpcs, kit);
      const paths = faces?.derive({ services, registry, routes: router.routes, comments, router, rpc });
      const answerAt = (path: string, found: FacePath, exchange: HttpExchange): void => {
        exchange.route = path;
        void answer(found, exchange, kit);
      };
      const handle = (exchange: HttpExchange): boolean => {
        const path = pathOf(exchange.head.url);
        const found = paths?.().get(path);
        if (found === undefined || isForSockets(path, exchange, kit)) return false;
        answerAt(path, found, exchange);
        return true;
      };
      const choose: DoorHandler["choose"] = (head) => {
        const path = pathOf(head.url);
        const found = paths?.().get(path);
        if (found?.isWhole?.(head) !== true) return undefined;
        return (exchange) => answerAt(path, found, exchange);
      };
      return Object.assign(handle, { choose });
    },
    ...(faces !== undefined && { stop: (graceMs: number) => faces.stop(graceMs) }),
  };
};

/** The owners of what is compiled for each protocol, in all sets of rpcs. */
const owners: Readonly<Record<FaceProtocol, object>> = { graphql: {}, mcp: {} };

/** Compiles the calls of rpcs by faces. */
function compileRpc(rpcs: ServedRpcs, kit: DoorKit): Contract["rpc"] {
  return (method, protocol) =>
    rpcs.compiled(owners[protocol], method, () =>
      faceRpc(method, protocol, rpcs.kitOf(method, `/${rpcName(method)}`, kit)),
    );
}

/** Whether the door of WebSockets opens one for the face. */
function isForSockets(path: string, { upgrade, head }: HttpExchange, { faces, sockets }: DoorKit): boolean {
  return (
    upgrade !== undefined &&
    sockets.webSockets &&
    asksForWebSocket(head) &&
    faces?.socketsAt(path) !== undefined
  );
}

/** Never rejects. */
async function answer(found: FacePath, exchange: HttpExchange, { errors }: DoorKit): Promise<void> {
  const { head } = exchange;
  try {
    if (found.guard !== undefined && !(await found.guard(head))) {
      throw new HttpError(404, `no route for ${head.method} ${pathOf(head.url)}`);
    }
    if (found.methods.includes(head.method)) await found.answer(exchange);
    else answerOtherMethod([...found.methods, "OPTIONS"], exchange, errors);
  } catch (reason) {
    errors.send(exchange, reason);
  }
}
