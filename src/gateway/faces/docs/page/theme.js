/** Light and dark: as the system has it, unless the reader chooses. */
import { h, icon, replace } from "./dom.js";

const themes = /** @type {const} */ (["auto", "light", "dark"]);
const icons = /** @type {const} */ ({ auto: "auto", light: "sun", dark: "moon" });
const key = "ts-ms.theme";

/** @type {(typeof themes)[number]} */
let theme = themes.find((one) => one === localStorage.getItem(key)) ?? "auto";

const button = h("button.quiet.square", { type: "button", onclick: nextTheme });
apply();

/** The button that goes from one scheme to the next. */
export function themeButton() {
  return button;
}

/** Shows the next scheme. */
export function nextTheme() {
  theme = themes[(themes.indexOf(theme) + 1) % themes.length] ?? "auto";
  localStorage.setItem(key, theme);
  apply();
}

function apply() {
  document.documentElement.dataset["theme"] = theme;
  const label = `Colours: ${theme === "auto" ? "as the system" : theme}`;
  button.setAttribute("aria-label", label);
  button.title = `${label} (t)`;
  replace(button, icon(icons[theme]));
}
