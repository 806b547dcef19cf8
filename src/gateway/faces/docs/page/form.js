/** The form of a request, made from its type. It changes the JSON in place; what it cannot say stays there. */
import { inlineNodes } from "./comment-text.js";
import { h, iconButton, newId, replace } from "./dom.js";
import { entrySlot, firstValue, itemSlot, memberSlot } from "./form-values.js";
import { emptyObject, memberOf, setMember } from "./json-text.js";
import { namesOf, shortName, summaryOf } from "./model.js";
import { valueInput } from "./scalar-inputs.js";
import { fieldType, hintText, roleTags } from "./type-parts.js";
import { formOf } from "./well-known.js";

/** @import { Slot } from "./form-values.js" */
/** @import { JsonArray, JsonObject } from "./json-text.js" */
/** @import { Field, MessageType, Model } from "./model.js" */

/** @typedef {{ field: string, description: string }} Violation */

export class Form {
  /**
   * @param {Model} model
   * @param {MessageType} message
   * @param {ReadonlySet<string>} bound paths of fields that a path needs
   * @param {() => void} changed called when the JSON has changed
   */
  constructor(model, message, bound, changed) {
    this.model = model;
    this.message = message;
    this.bound = bound;
    this.changed = changed;
    /** @type {Map<string, HTMLElement>} */
    this.notes = new Map();
    this.element = h("div.form");
  }

  /**
   * Shows a request.
   *
   * @param {JsonObject} json
   */
  show(json) {
    this.notes.clear();
    const { fields } = this.message;
    replace(
      this.element,
      fields.length === 0
        ? h("p.hint", null, "The request has no fields.")
        : this.fields(this.message, json, ""),
    );
  }

  /**
   * Puts what is wrong with a request to its fields.
   *
   * @param {readonly Violation[]} violations
   * @returns {Violation[]} those without a field in the form
   */
  mark(violations) {
    for (const note of this.notes.values()) replace(note);
    return violations.filter(({ field, description }) => {
      const note = this.noteOf(field);
      note?.append(h("span", null, description));
      if (note === undefined) return true;
      for (let parent = note.parentElement; parent !== null; parent = parent.parentElement) {
        if (parent instanceof HTMLDetailsElement) parent.open = true;
      }
      return false;
    });
  }

  /** @param {string} path as the server writes it, with the names of the contract or of JSON */
  noteOf(path) {
    for (
      let plain = plainPath(path);
      plain !== "";
      plain = plain.slice(0, Math.max(plain.lastIndexOf("."), 0))
    ) {
      const note = this.notes.get(plain);
      if (note !== undefined) return note;
    }
    return undefined;
  }

  /**
   * @param {MessageType} message
   * @param {JsonObject} json
   * @param {string} path
   * @returns {HTMLElement}
   */
  fields(message, json, path) {
    /** @type {HTMLElement[]} */
    const rows = [];
    /** @type {HTMLElement[]} */
    const outputs = [];
    /** @type {Set<string>} */
    const seen = new Set();
    for (const field of message.fields) {
      const { oneof } = field;
      const members = oneof === undefined ? [] : message.fields.filter((one) => one.oneof === oneof);
      if (oneof !== undefined && members.length > 1) {
        if (!seen.has(oneof)) rows.push(this.oneof(oneof, members, json, path));
        seen.add(oneof);
      } else if (field.outputOnly === true && !this.bound.has(join(path, field.name)))
        outputs.push(this.field(field, json, path));
      else rows.push(this.field(field, json, path));
    }
    if (outputs.length > 0) {
      const names = `${outputs.length} ${outputs.length === 1 ? "field" : "fields"} that the server sets`;
      rows.push(h("details.outputs", null, h("summary", null, names), h("div.rows", null, outputs)));
    }
    return h("div.rows", null, rows);
  }

  /**
   * @param {Field} field
   * @param {JsonObject} json
   * @param {string} path
   */
  field(field, json, path) {
    const slot = memberSlot(json, field, this.changed);
    const at = join(path, field.name);
    if (field.key !== undefined) return this.map(field, slot, at);
    if (field.list === true) return this.list(field, slot, at);
    return this.single(field, slot, at);
  }

  /**
   * A row: name, input, comment, and what is wrong.
   *
   * @param {Field} field
   * @param {string} path
   * @param {string | undefined} id of the input; undefined for a group of them
   * @param {...import("./dom.js").Child} content
   */
  row(field, path, id, ...content) {
    const note = h("p.problem", { role: "alert" });
    this.notes.set(plainPath(path), note);
    const summary = summaryOf(field.comment);
    const isBound = this.bound.has(path);
    return h(
      "div.row",
      id === undefined ? { role: "group", "aria-label": field.name } : null,
      h(
        "div.row-head",
        null,
        id === undefined
          ? h("span.label", { class: field.deprecated ? "label old" : "label" }, field.name)
          : h("label", { for: id, class: field.deprecated ? "old" : null }, field.name),
        fieldType(this.model, field),
        roleTags({
          ...field,
          required: field.required === true && !isBound,
          outputOnly: field.outputOnly === true && !isBound,
          presence: false,
        }),
        isBound && h("span.tag.must", { title: "The path of the route has it" }, "in the path"),
      ),
      content,
      note,
      (summary !== "" || field.rules !== undefined || field.hints !== undefined) &&
        h(
          "p.hint",
          null,
          inlineNodes(summary),
          field.rules !== undefined && ` ${field.rules}`,
          field.hints !== undefined && ` ${hintText(field.hints)}`,
        ),
    );
  }

  /**
   * @param {Field} field
   * @param {Slot} slot
   * @param {string} path
   */
  single(field, slot, path) {
    const id = newId();
    const form = formOf(this.model, field.type);
    if (form === "message" || form === "empty" || form === "any") return this.optional(field, slot, path, id);
    const presence = field.presence === true || form === "wrapper";
    return this.row(
      field,
      path,
      id,
      valueInput({
        model: this.model,
        type: field.type,
        slot,
        id,
        label: field.name,
        mayUnset: true,
        presence,
      }),
    );
  }

  /**
   * A message, which is there or not.
   *
   * @param {Field} field
   * @param {Slot} slot
   * @param {string} path
   * @param {string} id
   */
  optional(field, slot, path, id) {
    const body = h("div.nested");
    const box = h("input", {
      id,
      type: "checkbox",
      onchange: () => {
        slot.set(box.checked ? firstValue(this.model, field.type) : undefined);
        show();
      },
    });
    const show = () => {
      const value = slot.get();
      box.checked = value !== undefined;
      body.hidden = value?.kind !== "object" || formOf(this.model, field.type) === "empty";
      replace(body, !body.hidden && this.message_(field.type, slot, path));
    };
    show();
    const row = this.row(field, path, id, body);
    row.querySelector(".row-head")?.prepend(box);
    return row;
  }

  /**
   * The inside of a message that is there.
   *
   * @param {string} type
   * @param {Slot} slot
   * @param {string} path
   * @returns {HTMLElement}
   */
  message_(type, slot, path) {
    const value = slot.get();
    if (value?.kind !== "object") return h("p.hint", null, "It is no object: see the JSON.");
    if (formOf(this.model, type) === "any") return this.any(value, path);
    const message = this.model.message(type);
    if (message === undefined) return h("p.hint", null, "Its fields are not shown: see the JSON.");
    return message.fields.length === 0
      ? h("p.hint", null, "It has no fields.")
      : this.fields(message, value, path);
  }

  /**
   * @param {JsonObject} json
   * @param {string} path
   */
  any(json, path) {
    const current = memberOf(json, "@type");
    const url = current?.kind === "text" ? current.text : "";
    const known = url.slice(url.lastIndexOf("/") + 1);
    const body = h("div");
    const id = newId();
    const show = (/** @type {string} */ name) => {
      const message = this.model.message(name);
      replace(
        body,
        message !== undefined && formOf(this.model, name) === "message" && this.fields(message, json, path),
      );
    };
    const names = [...this.model.types.values()]
      .filter(({ kind }) => kind === "message")
      .map(({ name }) => name);
    const select = h(
      "select",
      {
        id,
        onchange: () => {
          json.members.splice(0);
          if (select.value !== "")
            setMember(json, ["@type"], { kind: "text", text: `type.googleapis.com/${select.value}` });
          show(select.value);
          this.changed();
        },
      },
      h("option", { value: "" }, "no type"),
      names.map((name) => h("option", { value: name, selected: name === known }, name)),
    );
    show(known);
    return h(
      "div.rows",
      null,
      h("div.row", null, h("div.row-head", null, h("label", { for: id }, "@type")), select),
      body,
    );
  }

  /**
   * @param {string} name
   * @param {readonly Field[]} members
   * @param {JsonObject} json
   * @param {string} path
   */
  oneof(name, members, json, path) {
    const body = h("div");
    const id = newId();
    const isSet = (/** @type {Field} */ field) => memberSlot(json, field, this.changed).get() !== undefined;
    const show = (/** @type {string} */ chosen) => {
      const field = members.find((one) => one.name === chosen);
      replace(body, field !== undefined && this.field({ ...field, presence: false }, json, path));
    };
    const select = h(
      "select",
      {
        id,
        onchange: () => {
          for (const field of members) setMember(json, namesOf(field), undefined);
          const field = members.find((one) => one.name === select.value);
          if (field !== undefined) setMember(json, namesOf(field), firstValue(this.model, field.type));
          show(select.value);
          this.changed();
        },
      },
      h("option", { value: "" }, "none"),
      members.map((field) => h("option", { value: field.name, selected: isSet(field) }, field.name)),
    );
    show(members.find(isSet)?.name ?? "");
    return h(
      "div.row.oneof-row",
      null,
      h("div.row-head", null, h("label", { for: id }, "one of ", name)),
      select,
      body,
    );
  }

  /**
   * @param {Field} field
   * @param {Slot} slot
   * @param {string} path
   */
  list(field, slot, path) {
    const list = h("ol.items");
    const show = (/** @type {number | undefined} */ focus) => {
      const value = slot.get();
      replace(
        list,
        value?.kind === "array" &&
          value.items.map((_item, at) => this.item(field, slot, value, at, path, show)),
      );
      list.hidden = value?.kind !== "array" || value.items.length === 0;
      if (focus !== undefined) focusFirst(list.children[focus]);
    };
    const addItem = h(
      "button",
      {
        type: "button",
        onclick: () => {
          const value = slot.get();
          /** @type {JsonArray} */
          const array = value?.kind === "array" ? value : { kind: "array", items: [] };
          array.items.push(firstValue(this.model, field.type));
          slot.set(array);
          show(array.items.length - 1);
        },
      },
      "Add",
      h("span.hidden", null, ` to ${field.name}`),
    );
    show(undefined);
    return this.row(field, path, undefined, list, addItem);
  }

  /**
   * @param {Field} field
   * @param {Slot} slot of the list
   * @param {JsonArray} array
   * @param {number} at
   * @param {string} path
   * @param {(focus: number | undefined) => void} show
   */
  item(field, slot, array, at, path, show) {
    const place = `${field.name} ${at + 1}`;
    const move = (/** @type {number} */ to) => {
      const [item] = array.items.splice(at, 1);
      if (item !== undefined && to >= 0) array.items.splice(to, 0, item);
      slot.set(array.items.length === 0 ? undefined : array);
      show(to >= 0 ? to : undefined);
    };
    return h(
      "li",
      null,
      h(
        "div.item-value",
        null,
        this.part(field.type, itemSlot(array, at, this.changed), `${path}.${at}`, place),
      ),
      h(
        "div.item-buttons",
        null,
        iconButton("up", `Move ${place} up`, () => move(at - 1), { disabled: at === 0 }),
        iconButton("down", `Move ${place} down`, () => move(at + 1), {
          disabled: at === array.items.length - 1,
        }),
        iconButton("close", `Remove ${place}`, () => move(-1)),
      ),
    );
  }

  /**
   * An item of a list or a value of a map.
   *
   * @param {string} type
   * @param {Slot} slot
   * @param {string} path
   * @param {string} label
   */
  part(type, slot, path, label) {
    const form = formOf(this.model, type);
    if (form === "message" || form === "any") {
      return h(
        "fieldset",
        null,
        h("legend", null, `${label}: ${shortName(type)}`),
        this.message_(type, slot, path),
      );
    }
    const id = newId();
    const input = valueInput({ model: this.model, type, slot, id, label, mayUnset: false, presence: false });
    const note = h("p.problem", { role: "alert" });
    this.notes.set(plainPath(path), note);
    return h("div", null, h("label.hidden", { for: id }, label), input, note);
  }

  /**
   * @param {Field} field
   * @param {Slot} slot
   * @param {string} path
   */
  map(field, slot, path) {
    const list = h("ul.items");
    const show = () => {
      const value = slot.get();
      replace(
        list,
        value?.kind === "object" &&
          value.members.map((_entry, at) => this.entry(field, slot, value, at, path, show)),
      );
      list.hidden = value?.kind !== "object" || value.members.length === 0;
    };
    const addEntry = h(
      "button",
      {
        type: "button",
        onclick: () => {
          const value = slot.get();
          const object = value?.kind === "object" ? value : emptyObject();
          object.members.push([field.key === "string" ? "" : "0", firstValue(this.model, field.type)]);
          slot.set(object);
          show();
          list.lastElementChild?.querySelector("input")?.focus();
        },
      },
      "Add",
      h("span.hidden", null, ` to ${field.name}`),
    );
    show();
    return this.row(field, path, undefined, list, addEntry);
  }

  /**
   * @param {Field} field
   * @param {Slot} slot of the map
   * @param {JsonObject} object
   * @param {number} at
   * @param {string} path
   * @param {() => void} show
   */
  entry(field, slot, object, at, path, show) {
    const place = `${field.name} ${at + 1}`;
    const key = h("input.mono", {
      type: "text",
      "aria-label": `${place}, key`,
      placeholder: "key",
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => {
        const entry = object.members[at];
        if (entry !== undefined) entry[0] = key.value;
        this.changed();
      },
    });
    key.value = object.members[at]?.[0] ?? "";
    return h(
      "li.entry",
      null,
      key,
      h(
        "div.item-value",
        null,
        this.part(field.type, entrySlot(object, at, this.changed), `${path}.${key.value}`, `${place}, value`),
      ),
      iconButton("close", `Remove ${place}`, () => {
        object.members.splice(at, 1);
        slot.set(object.members.length === 0 ? undefined : object);
        show();
      }),
    );
  }
}

/** @param {Element | null | undefined} parent */
function focusFirst(parent) {
  /** @type {HTMLElement | null | undefined} */
  const first = parent?.querySelector("input, select, textarea");
  first?.focus();
}

/**
 * @param {string} path
 * @param {string} name
 */
function join(path, name) {
  return path === "" ? name : `${path}.${name}`;
}

/**
 * One spelling of a path: `book.page_count`, `book.pageCount` and `authors[0]` as `authors.0`.
 *
 * @param {string} path
 */
function plainPath(path) {
  return path
    .replaceAll(/\[["']?([^\]"']*)["']?\]/g, ".$1")
    .replaceAll("_", "")
    .toLowerCase();
}
