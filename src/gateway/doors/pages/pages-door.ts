import type { CallContext } from "../../../core/call/context.ts";
import {
  answerersOf,
  answerOf,
  type CallObserver,
  notifyFinished,
  notifyStarted,
  notifyUnserved,
} from "../../../core/call/observer.ts";
import { rpcName } from "../../../core/call/service.ts";
import { refusal } from "../../../core/admission/refusal.ts";
import { Code, type ConnectError, toCallError } from "../../../core/errors/errors.ts";
import { SetupError } from "../../../core/errors/setup-error.ts";
import { pathOf } from "../../../core/net/request-target.ts";
import { routeName } from "../../../core/http-rule/route.ts";
import { requirePrincipal } from "../../../core/security/principal.ts";
import type { HttpExchange } from "../../http/exchange.ts";
import { HttpError } from "../../http/http-error.ts";
import { answerOtherMethod } from "../../http/other-method.ts";
import type { FileFolder, FoundFile } from "../../http/served-files.ts";
import type { MakeDoor } from "../door.ts";
import { callKind, type DoorKit } from "../door-kit.ts";
import { admitCall, type CallKind, openCall } from "../open-call.ts";
import type { ServedRpcs } from "../served-rpcs.ts";
import { routeBelow } from "../shadowed-routes.ts";
import { sendFile } from "./send-file.ts";

/** What all requests for files of a folder have in common. */
interface FileKind {
  readonly kind: CallKind;
  /** The observers that may change an answer; undefined for none. */
  readonly answerers: readonly CallObserver[] | undefined;
}

/**
 * Files of folders, where no rpc is. A request for one is a call of an rpc of `ts_ms.pages.v1.FilesService` to gates and
 * observers.
 */
export const pagesDoor: MakeDoor = (kit) => ({
  name: "pages",
  claims: () => kit.pages !== undefined,
  serve(rpcs) {
    const folders = kit.pages?.folders ?? [];
    for (const folder of folders) checkPrefix(folder, rpcs);
    const answerers = answerersOf(kit.observers);
    const kinds = new Map(
      folders.map((folder) => [folder, { kind: callKind(folder.method, "rest", kit), answerers }]),
    );
    return (exchange) => {
      const { head } = exchange;
      const found = kit.pages?.find(head.url);
      const kind = found && kinds.get(found.folder);
      if (found === undefined || kind === undefined) return false;
      if (head.method === "GET" || head.method === "HEAD") void answer(found, kind, exchange, kit);
      else if (found.folder.prefix === "/") kit.errors.send(exchange, notFound(exchange));
      else answerOtherMethod(["GET", "HEAD", "OPTIONS"], exchange, kit.errors);
      return true;
    };
  },
});

/** @throws SetupError naming a route of an rpc below the prefix of a folder; `/` has what rpcs leave */
function checkPrefix({ prefix }: FileFolder, { router }: ServedRpcs): void {
  const hidden = prefix === "/" ? undefined : routeBelow(prefix, router.routes);
  if (hidden === undefined) return;
  throw new SetupError(
    `HTTP: the folder at ${prefix} would hide ${routeName(hidden)} → ${rpcName(hidden.method)}: give it another prefix`,
  );
}

/** Never rejects. */
async function answer(
  found: FoundFile,
  { kind, answerers }: FileKind,
  exchange: HttpExchange,
  kit: DoorKit,
): Promise<void> {
  const { errors, requestMetadata, observers } = kit;
  const { prefix, access } = found.folder;
  let call: CallContext | undefined;
  let isAsked = false;
  try {
    exchange.route = `${prefix}**`;
    const { headers } = exchange.head;
    requestMetadata.check(headers);
    const opened = (call = openCall(kind, exchange, undefined, requestMetadata.from(headers)));
    const admitted = admitCall(kind, "rest", exchange, opened, exchange.route);
    if (admitted !== undefined) await admitted;
    checkAccess(access, opened);
    notifyStarted(observers, opened);
    const file = await found.open(exchange.head);
    if (file === undefined) throw notFound(exchange);
    isAsked = true;
    const refused = answerOf(answerers, opened, undefined);
    if (refused !== undefined) {
      file.body?.destroy();
      throw refused;
    }
    await sendFile(file, exchange, kit);
    notifyFinished(observers, opened, undefined);
  } catch (reason) {
    const error = toCallError(reason);
    const isStarted = call?.report === observers;
    const sent = call !== undefined && isStarted && !isAsked ? answerOf(answerers, call, error) : error;
    if (call !== undefined) reportFailure(call, sent, kit);
    errors.send(exchange, sent === error ? reason : sent);
  } finally {
    call?.end();
  }
}

/** Notifies observers of a call that has failed, or was refused before there was a file. */
function reportFailure(call: CallContext, error: ConnectError, { observers }: DoorKit): void {
  notifyFinished(observers, call, error);
  notifyUnserved(observers, error, call);
}

/** The folder's own level, whatever gates a server has. @throws ConnectError */
function checkAccess(access: FileFolder["access"], context: CallContext): void {
  if (access === "authenticated") requirePrincipal(context);
  if (access === "deny") {
    throw refusal({
      kind: "denied",
      code: Code.PermissionDenied,
      reason: "ACCESS_DENIED",
      message: "files of this folder are not served",
    });
  }
}

function notFound({ head }: HttpExchange): HttpError {
  return new HttpError(404, `no file for ${head.method} ${pathOf(head.url)}`);
}
