/** What happens to a page that a client cares about. */
export interface PageListener {
  /** The page is visible, or the computer is online: waits are over. */
  readonly wake: () => void;
  /** The page goes away, perhaps into the browser's cache. */
  readonly hide: () => void;
  /** The page is back from the browser's cache. */
  readonly show: () => void;
}

/** What browsers have in `globalThis`, and other programs may lack. */
interface Page {
  readonly addEventListener?: EventTarget["addEventListener"];
  readonly removeEventListener?: EventTarget["removeEventListener"];
  readonly document?: EventTarget & { readonly visibilityState: "visible" | "hidden" };
  readonly navigator?: { readonly onLine?: boolean };
}

/** Looked up at each use: what a test puts there counts as well. */
const page = (): Page => globalThis as Page;

/** Whether the browser knows that it has no network. */
export function isOffline(): boolean {
  return page().navigator?.onLine === false;
}

/** Watches the page, where there is one. Returns what ends that. */
export function watchPage({ wake, hide, show }: PageListener): () => void {
  const { document } = page();
  if (page().addEventListener === undefined || document === undefined) return () => {};
  const visible = (): void => {
    if (document.visibilityState === "visible") wake();
  };
  const shown = (event: Event): void => {
    if ((event as Event & { readonly persisted: boolean }).persisted) show(); // A `PageTransitionEvent`.
  };
  const all = [
    ["online", wake],
    ["pagehide", hide],
    ["pageshow", shown],
  ] as const;
  for (const [name, listener] of all) page().addEventListener?.(name, listener);
  document.addEventListener("visibilitychange", visible);
  return () => {
    for (const [name, listener] of all) page().removeEventListener?.(name, listener);
    document.removeEventListener("visibilitychange", visible);
  };
}
