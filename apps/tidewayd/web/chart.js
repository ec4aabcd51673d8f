// SPDX-License-Identifier: Apache-2.0
//
// Draws samples of one link: training at the bottom and bulk on top of it, so that the edge is what the link carries; bulk that
// comes in, downwards; below that when a training was in a burst and how the gate stood. A pointer or the arrow keys read
// single samples off.

import { rate, shortRate, span } from "./format.js";
import { inWords } from "./reasons.js";

const kPlot = 170, kStrip = 10, kGap = 5, kAxis = 18, kTop = 8, kSide = 44;  // pixels
const kFont = 11;
const kHole = 1;        // seconds without a sample: nothing is drawn there
export const kWorthShowing = 0.02;  // of what comes in, beside the scale of what goes out: less is acknowledgements
const kEvery = 0.25;    // seconds between samples
const kColumnLeast = 2; // pixels; narrower ones would blur into each other, so samples are put together

const nice = (value) => {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value);
};

export class Chart {
  constructor(canvas, tell) {
    this.canvas = canvas;
    this.tell = tell;
    this.back = null;  // seconds before the newest sample that are read off
    new ResizeObserver(() => this.paint()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
    canvas.addEventListener("pointermove", (event) => this.point(((canvas.clientWidth - event.offsetX) / (canvas.clientWidth - kSide)) * this.seconds));
    canvas.addEventListener("pointerleave", () => this.point(null));
    canvas.addEventListener("blur", () => this.point(null));
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: kEvery, ArrowRight: -kEvery, PageUp: 5, PageDown: -5 }[event.key];
      if (event.key === "Escape") this.point(null);
      if (step === undefined) return;
      event.preventDefault();
      this.point((this.back ?? 0) + step);
    });
  }

  point(back) {
    this.back = back == null ? null : Math.min(this.seconds, Math.max(0, back));
    this.paint();
  }

  // `hasGate`: trainings use this link.
  draw(samples, { seconds, capacity, hasGate }) {
    Object.assign(this, { samples, seconds, capacity, hasGate });
    this.paint();
  }

  paint() {
    const { canvas, samples, seconds } = this;
    const width = canvas.clientWidth;
    if (!samples || width <= kSide) return;
    const end = samples.at(-1)?.time ?? 0;
    const shown = samples.filter((sample) => sample.time > end - seconds - 2 * kEvery);
    const rows = this.hasGate ? [["phase", "burst"], ["gate", "gate"], ...(shown.some((sample) => sample.gateBack !== "open") ? [["gate in", "gateBack"]] : [])] : [];
    const height = kTop + kPlot + rows.length * (kStrip + kGap) + kGap + kAxis;
    const pen = sized(canvas, width, height);
    const style = getComputedStyle(canvas);
    const up = this.capacity ?? nice(Math.max(1e6, ...shown.map((sample) => (sample.training ?? 0) + sample.sent)));
    const hasBack = shown.some((sample) => sample.received > kWorthShowing * up);
    const down = hasBack ? nice(Math.max(1e6, ...shown.map((sample) => sample.received))) : 0;
    const together = Math.max(1, Math.ceil((kColumnLeast * seconds) / (width - kSide) / kEvery));
    const part = {
      pen, width, end, height, up, down, seconds, rows,
      shown: joined(shown, together), hole: kHole + together * kEvery,
      colour: (name) => style.getPropertyValue(`--${name}`),
      x: (time) => Math.max(kSide, Math.round(width - ((width - kSide) * (end - time)) / seconds)),  // whole pixels, or all edges would blur
      y: (bits) => kTop + (kPlot * (up - bits)) / (up + down),
    };
    grid(part);
    bursts(part);
    areas(part);
    strips(part);
    this.cursor(part, shown);
  }

  cursor({ pen, colour, x, end, height }, samples) {
    if (this.back == null || samples.length === 0) return this.tell("");
    const wanted = end - this.back;
    const sample = samples.find((one) => one.time >= wanted) ?? samples.at(-1);
    pen.fillStyle = colour("text");
    pen.fillRect(Math.min(x(sample.time), x(end) - 1), kTop, 1, height - kTop - kAxis);
    const gate = sample.gate === "open" ? "gate open" : `gate ${sample.gate}${sample.reason ? ` (${inWords(sample.reason)})` : ""}`;
    return this.tell(`${span(end - sample.time)} before: training ${rate(sample.training)}, bulk ${rate(sample.sent)}${sample.received > 0 ? `, received ${rate(sample.received)}` : ""}, ${gate}`);
  }
}

// A pen that draws in pixels of the page, on a canvas that has those of the screen.
function sized(canvas, width, height) {
  const density = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * density) || canvas.height !== Math.round(height * density)) {
    canvas.width = Math.round(width * density);
    canvas.height = Math.round(height * density);
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(density, 0, 0, density, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = `${kFont}px system-ui, sans-serif`;
  return pen;
}

// Means of `count` samples each, the same ones with every look. A state of the strips comes with its share of them.
function joined(samples, count) {
  const columns = new Map();
  for (const sample of samples) {
    const key = count === 1 ? sample.time : Math.floor(sample.time / (count * kEvery));
    columns.set(key, [...(columns.get(key) ?? []), sample]);
  }
  const mean = (column, field) => column.reduce((sum, sample) => sum + (sample[field] ?? 0), 0) / column.length;
  const strip = (column, stateOf) => {
    const states = column.map(stateOf).filter((state) => state !== "open");
    const times = (state) => states.filter((one) => one === state).length;
    return { state: states.reduce((most, state) => (times(state) > times(most) ? state : most), states[0] ?? "open"), share: states.length / column.length };
  };
  return [...columns.values()].map((column) => ({
    time: column.at(-1).time, sent: mean(column, "sent"), received: mean(column, "received"),
    training: mean(column, "training"), isMeasured: column.some((one) => one.training != null),
    burst: strip(column, (one) => (one.burst.length > 0 ? "training" : "open")), gate: strip(column, (one) => one.gate), gateBack: strip(column, (one) => one.gateBack),
  }));
}

function grid({ pen, colour, x, y, width, end, up, down, seconds, height }) {
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const bits of [up, up / 2, 0, ...(down > 0 ? [-down] : [])]) {
    pen.fillStyle = colour(bits === 0 || bits === up ? "axis" : "grid");
    pen.fillRect(kSide, Math.round(y(bits)), width - kSide, 1);
    pen.fillStyle = colour("faint");
    pen.fillText(shortRate(Math.abs(bits)), kSide - 6, y(bits));
  }
  pen.textBaseline = "bottom";
  for (let back = 0; back < seconds; back += Math.min(60, seconds / 4)) {
    pen.textAlign = back === 0 ? "right" : "center";
    pen.fillText(back === 0 ? "now" : `−${span(back)}`, x(end - back), height);
  }
}

// A burst that is announced and not measured: nobody knows how much of the link it takes.
function bursts({ pen, shown, hole, colour, x, y, up }) {
  pen.fillStyle = colour("training");
  pen.globalAlpha = 0.28;
  for (let i = 1; i < shown.length; ++i) {
    const before = shown[i - 1], sample = shown[i];
    if (sample.isMeasured || sample.burst.share === 0 || sample.time - before.time > hole) continue;
    const height = sample.burst.share * (y(0) - y(up));
    pen.fillRect(x(before.time), y(0) - height, x(sample.time) - x(before.time), height);
  }
  pen.globalAlpha = 1;
}

// A sample is the mean since the one before it.
function areas({ pen, shown, hole, colour, x, y, down }) {
  const fill = (name, low, high) => {
    pen.fillStyle = colour(name);
    pen.beginPath();
    for (let i = 1; i < shown.length; ++i) {
      const before = shown[i - 1], sample = shown[i];
      if (sample.time - before.time > hole || high(sample) === low(sample)) continue;
      const left = x(before.time), top = y(high(sample));
      pen.rect(left, top, x(sample.time) - left, y(low(sample)) - top);
    }
    pen.fill();
  };
  fill("training", () => 0, (sample) => sample.training);
  fill("bulk", (sample) => sample.training, (sample) => sample.training + sample.sent);
  if (down > 0) fill("received", (sample) => -sample.received, () => 0);
}

function strips({ pen, shown, hole, colour, x, rows, width }) {
  for (const [i, [title, field]] of rows.entries()) {
    const top = kTop + kPlot + kGap + i * (kStrip + kGap);
    pen.fillStyle = colour("faint");
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    pen.fillText(title, kSide - 6, top + kStrip / 2);
    pen.fillStyle = colour("strip");
    pen.fillRect(kSide, top, width - kSide, kStrip);
    for (let j = 1; j < shown.length; ++j) {
      const sample = shown[j], before = shown[j - 1];
      const { state, share } = sample[field];
      if (state === "open" || sample.time - before.time > hole) continue;
      pen.fillStyle = colour(state);
      // Bars of different height, so that the state can be told without its colour.
      const height = share * kStrip * ({ guard: 0.4, probe: 0.7 }[state] ?? 1);
      pen.fillRect(x(before.time), top + kStrip - height, x(sample.time) - x(before.time), height);
    }
  }
}
