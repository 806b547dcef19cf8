/** Additional spellings of values and names, for clients that were written for other gateways. */
export interface TextForms {
  /** Names of enum values in any letter case. Default false. */
  readonly enumAnyCase: boolean;
  /** Names of enum values without the prefix that all of them share: `LARGE` for `SIZE_LARGE`. Default false. */
  readonly enumShortNames: boolean;
  /** Durations as Go writes them, such as `1h30m` or `1.5ms`, beside `5400s`. Default false. */
  readonly goDurations: boolean;
  /** Messages in a query as JSON text: `filter={"author":"x"}`. Default false. */
  readonly jsonMessages: boolean;
  /** Map entries in a query as `labels.key=value` beside `labels[key]=value`. Default false. */
  readonly dottedMapKeys: boolean;
  /** Lists in a query as `tags[]=a&tags[]=b` beside `tags=a&tags=b`. Default false. */
  readonly bracketLists: boolean;
  /** Lists in a query as `tags=a,b`; values then cannot contain a comma. Default false. */
  readonly commaLists: boolean;
}

/** The defaults of {@link TextForms}: only the standard spellings. */
export const textFormDefaults: TextForms = Object.freeze({
  enumAnyCase: false,
  enumShortNames: false,
  goDurations: false,
  jsonMessages: false,
  dottedMapKeys: false,
  bracketLists: false,
  commaLists: false,
});
