import { SetupError } from "../errors/setup-error.ts";
import type { SelectedPolicy } from "./method-policy.ts";
import { codeLayer, type PolicyLayer } from "./policy-layer.ts";
import { Selector } from "./selector.ts";

/** A policy of code with the rpcs that it is for. */
export interface SelectedLayer {
  readonly selector: Selector;
  readonly layer: PolicyLayer;
}

/** @throws SetupError naming the policy and the field that cannot be used */
export function readSelected(policies: readonly SelectedPolicy[]): readonly SelectedLayer[] {
  return policies.map(selectedLayer);
}

function selectedLayer(policy: SelectedPolicy, index: number): SelectedLayer {
  const place = `policies[${index}]`;
  if (typeof policy.selector !== "string") throw new SetupError(`${place}: selector is missing`);
  try {
    const selector = new Selector(policy.selector);
    return { selector, layer: codeLayer(policy, `${place} (${policy.selector})`) };
  } catch (error) {
    if (!(error instanceof SetupError) || error.message.startsWith(place)) throw error;
    throw new SetupError(`${place}: ${error.message}`);
  }
}
