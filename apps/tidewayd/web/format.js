// SPDX-License-Identifier: Apache-2.0
//
// Numbers as people read them, and elements as the page is made of. Text is only ever set as text.

const kGlue = "\u00a0";  // keeps a number and its unit on one line
const behind = (unit) => kGlue + unit;
const short = (value) => String(Number(value.toPrecision(3)));

function scaled(value, units, base) {
  let step = 0;
  while (step + 1 < units.length && value >= base) {
    value /= base;
    step += 1;
  }
  return `${value >= 1000 ? Math.round(value) : short(value)}${units[step]}`;
}

export const rate = (bits) => (bits == null ? "–" : scaled(bits, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"].map(behind), 1000));
export const shortRate = (bits) => scaled(bits, ["", "k", "M", "G", "T"], 1000);
export const size = (bytes) => (bytes == null ? "–" : scaled(bytes, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"].map(behind), 1024));
export const percent = (share) => (share == null ? "–" : `${share < 0.1 ? short(100 * share) : Math.round(100 * share)}${kGlue}%`);

export function span(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return "–";
  if (seconds === 0) return `0${kGlue}s`;
  if (seconds < 0.001) return `${short(seconds * 1e6)}${kGlue}µs`;
  if (seconds < 1) return `${short(seconds * 1e3)}${kGlue}ms`;
  if (seconds < 60) return `${short(seconds)}${kGlue}s`;
  const [unit, part, names] = seconds < 3600 ? [60, 1, ["min", "s"]] : seconds < 86400 ? [3600, 60, ["h", "min"]] : [86400, 3600, ["d", "h"]];
  const whole = Math.floor(seconds / unit), rest = Math.floor((seconds % unit) / part);
  return `${whole}${kGlue}${names[0]}${rest > 0 ? `${kGlue}${rest}${kGlue}${names[1]}` : ""}`;
}

// element("p", {class: "hint"}, "text", child)
export function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) if (value != null && value !== false) made.setAttribute(key, value === true ? "" : value);
  made.append(...children.filter((child) => child != null));
  return made;
}

// Cells of a row, each of which knows its column's title: on a narrow screen it stands beside the value.
export const labelled = (titles) => Object.entries(titles).map(([name, title]) => element("td", { class: name, "data-title": title }));

// Rows by key: those that stay keep their element, and with it the focus.
export function reconcile(parent, keys, make) {
  const there = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let at = parent.firstElementChild;
  for (const key of keys) {
    let child = there.get(key);
    there.delete(key);
    if (!child) {
      child = make(key);
      child.dataset.key = key;
    }
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
  }
  for (const child of there.values()) child.remove();
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
