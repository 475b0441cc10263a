// Elements from plain values. Whatever comes from the API becomes text or an attribute, never markup.

const SVG = "http://www.w3.org/2000/svg";

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** An HTML element; attributes that begin with "on" are listeners. */
export const el = (tag, attributes = {}, ...children) => build(document.createElement(tag), attributes, children);

/** An SVG element. */
export const svg = (tag, attributes = {}, ...children) => build(document.createElementNS(SVG, tag), attributes, children);

export const byId = (id) => document.getElementById(id);

/** Replace what a panel shows. */
export function show(panel, ...children) {
  panel.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
  panel.removeAttribute("aria-busy");
}

export function showLoading(panel, what) {
  panel.setAttribute("aria-busy", "true");
  panel.replaceChildren(el("p", { class: "loading" }, `Loading ${what}…`));
}

export const empty = (text) => el("p", { class: "empty" }, text);

/** What went wrong, in words, and a way to try again. */
export function failure(error, retry) {
  const button = retry ? el("button", { type: "button", onclick: retry }, "Try again") : null;
  return el("div", { class: "failure", role: "alert" }, el("p", {}, error.message), button);
}

/** A button that does something that may fail, and cannot be pressed twice meanwhile. */
export function action(label, attributes, work) {
  const button = el("button", { type: "button", ...attributes }, label);
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true"); // not disabled: that would lose the focus
    try {
      await work();
    } finally {
      button.removeAttribute("aria-disabled");
    }
  });
  return button;
}
