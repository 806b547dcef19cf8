import type { EndpointChange } from "../discovery/endpoint-list.ts";
import { EndpointWatch, type EndpointWatchOptions } from "../discovery/endpoint-watch.ts";
import type { Resolver } from "../discovery/resolver.ts";

/** Begins to watch; what a resolver finds at once is given to `onChange` after `opened` has the watch. */
export function openWatch(
  resolver: Resolver,
  options: EndpointWatchOptions,
  opened: (watch: EndpointWatch) => void,
): void {
  let isOpen = false;
  const early: EndpointChange[] = [];
  const onChange = (change: EndpointChange): void => {
    if (isOpen) options.onChange(change);
    else early.push(change);
  };
  opened(new EndpointWatch(resolver, { ...options, onChange }));
  isOpen = true;
  for (const change of early) options.onChange(change);
}
