/** Texts that tell what a field of a name is about. */
const texts: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^(?:.*_)?e?_?mail(?:_address)?$/, ["ada@example.com", "grace@example.com", "alan@example.com"]],
  [/^(?:.*_)?(?:url|uri|link|href|website|homepage)$/, ["https://example.com/1", "https://example.com/2"]],
  [/^(?:.*_)?(?:host|hostname|domain)$/, ["example.com", "www.example.com"]],
  [/^(?:.*_)?ip(?:_address)?$/, ["192.0.2.1", "192.0.2.2", "192.0.2.3"]],
  [/^(?:.*_)?phone(?:_number)?$/, ["+44 20 7946 0018", "+44 20 7946 0019"]],
  [/^(?:first|given)_name$/, ["Ada", "Grace", "Alan"]],
  [/^(?:last|family|sur)_?name$/, ["Lovelace", "Hopper", "Turing"]],
  [
    /^(?:full_name|author|owner|customer|person|user|borrower)$/,
    ["Ada Lovelace", "Grace Hopper", "Alan Turing"],
  ],
  [/^(?:.*_)?uu?id$/, ["0b2b6b0e-3a51-4c8e-9f43-5d2f6a1c7e10", "6f1d2c3b-4a5e-4f60-8b7c-9d0e1f2a3b4c"]],
  [/^(?:.*_)?(?:id|number|no)$/, ["1", "2", "3", "4", "5"]],
  [/^isbn(?:_?1[03])?$/, ["9780441172719", "9780261103573", "9780553283686"]],
  [/^(?:.*_)?currency(?:_code)?$/, ["EUR", "USD", "GBP"]],
  [/^(?:.*_)?(?:country|region)(?:_code)?$/, ["DE", "FR", "GB"]],
  [/^(?:.*_)?(?:language|locale)(?:_code)?$/, ["en", "de", "fr"]],
  [/^(?:.*_)?time_?zone$/, ["Europe/Berlin", "Europe/London"]],
  [/^(?:city|town|locality)$/, ["Berlin", "London", "Paris"]],
  [/^(?:.*_)?(?:postal_code|post_?code|zip(?:_code)?)$/, ["10115", "10117"]],
  [/^(?:.*_)?colou?r$/, ["#336699", "#996633"]],
  [/^(?:.*_)?(?:content|mime|media)_type$/, ["text/plain"]],
  [/^(?:.*_)?version$/, ["1.0.0", "1.1.0"]],
  [/^(?:.*_)?date$/, ["2025-01-31", "2025-02-28"]],
  [/^(?:.*_)?time$/, ["09:30", "10:30"]],
  [/^(?:.*_)?(?:sku|code)$/, ["A-1", "A-2", "A-3"]],
];

/** Numbers that can be what a field of a name means. */
const numbers: readonly (readonly [RegExp, readonly number[]])[] = [
  [/^isbn(?:_?1[03])?$/, [9_780_441_172_719, 9_780_261_103_573, 9_780_553_283_686]],
  [/^(?:.*_)?year$/, [2025, 2026]],
  [/^(?:.*_)?month$/, [1, 2, 3]],
  [/^(?:.*_)?(?:day|weekday)$/, [1, 2, 3]],
  [/^(?:.*_)?hours?$/, [9, 10]],
  [/^(?:.*_)?(?:minutes?|seconds?)$/, [30, 45]],
  [/^nanos$/, [0]],
  [/^(?:.*_)?lat(?:itude)?$/, [52.52, 51.5]],
  [/^(?:.*_)?(?:lng|lon(?:gitude)?)$/, [13.405, -0.12]],
  [/^(?:.*_)?percent(?:age)?$/, [50, 60]],
  [/^(?:.*_)?port$/, [8080, 8081]],
  [/^(?:.*_)?(?:price|cost|amount|total|units)$/, [10, 20]],
  [/^(?:.*_)?cents$/, [999, 1999]],
  [/^page_count$|^pages$/, [320, 412]],
  [/^page_size$/, [10]],
  [/^(?:.*_)?(?:count|size|quantity|version|total_size|revision)$/, [1, 2, 3]],
  [/^(?:.*_)?age$/, [36, 42]],
  [/^(?:.*_)?(?:rating|stars|score)$/, [4, 5]],
];

/**
 * What a request does not need for itself and may be wrong: positions and conditions that a server has given or reads as
 * a language.
 */
const leftOut =
  /^(?:page_token|filter|query_filter|order_by|sort_by|skip|offset|etag|request_id|read_mask|validate_only|dry_run|allow_missing|force)$/;

/** Whether an example of a request leaves a field of this name out, where no rule wants it. */
export function isLeftOutOfRequests(name: string): boolean {
  return leftOut.test(name);
}

/** Whether an example of a reply leaves a field of this name out: a client would ask for a page that is not there. */
export function isLeftOutOfReplies(name: string): boolean {
  return name === "next_page_token";
}

/** A text for a field, by its name. @param turn which of several */
export function textFor(name: string, turn: number): string {
  const words = texts.find(([pattern]) => pattern.test(name))?.[1];
  if (words !== undefined && turn < words.length) return words[turn] ?? "";
  const word = name.replaceAll("_", " ");
  return turn === 0 ? word : `${word} ${turn + 1}`;
}

/** A number for a field, by its name; undefined where the name says nothing. @param turn which of several */
export function numberFor(name: string, turn: number): number | undefined {
  const known = numbers.find(([pattern]) => pattern.test(name))?.[1];
  return known?.[turn % known.length];
}
