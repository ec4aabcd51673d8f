// SPDX-License-Identifier: Apache-2.0
//
// The tide of each link: samples of four a second as they come, and beside them what /v1/links says of the trainings.

import { Chart, kWorthShowing } from "./chart.js";
import { element, labelled, percent, rate, reconcile, setText, span } from "./format.js";
import { inWords } from "./reasons.js";

const kKeptSeconds = 330;  // what the gateway tells again to whoever connects, and a little
const kMeanSeconds = 10;   // what is said in numbers: the moment itself changes faster than people read
const kSaidEvery = 1000;   // milliseconds
const kHint = "Point at the plot, or use its arrow keys, to read a moment off.";

export class Tide {
  constructor(list, none, picker) {
    this.list = list;
    this.none = none;
    this.cards = new Map();    // by peer
    this.samples = new Map();
    this.seconds = innerWidth < 600 ? 20 : 60;
    picker.querySelector(`[value="${this.seconds}"]`).checked = true;
    picker.addEventListener("change", (event) => {
      this.seconds = Number(event.target.value);
      this.draw();
    });
    this.isDue = false;
  }

  describe(links) {
    this.none.hidden = links.length > 0;
    reconcile(this.list, links.map((link) => link.peer), (peer) => this.card(peer));
    for (const link of links) {
      const card = this.cards.get(link.peer);
      card.link = link;
      setText(card.capacity, link.capacity_bits == null ? "capacity not known" : `${rate(link.capacity_bits)}, ${link.kind}`);
      reconcile(card.trainings, link.trainings.map((training) => training.training), (name) =>
        element("tr", {}, element("th", { scope: "row" }, name), ...labelled({ state: "phases", period: "period", source: "heard through", hurt: "slowed by" })));
      for (const [i, row] of [...card.trainings.children].entries()) fillTraining(row, link.trainings[i]);
      card.table.hidden = link.trainings.length === 0;
      card.keys.dataset.gated = link.trainings.length > 0;
    }
    this.draw();
  }

  card(peer) {
    const card = { peer, capacity: element("span"), gate: element("span", { class: "gate" }), now: element("p", { class: "now" }), pauses: element("p", { class: "pauses" }), read: element("p", { class: "read", "aria-live": "polite" }, kHint), trainings: element("tbody"), said: -kSaidEvery };
    card.canvas = element("canvas", { tabindex: "0", role: "img", "aria-label": `Training and bulk on the link to ${peer} over time. The arrow keys read moments off.` });
    card.table = element("div", { class: "wide" }, element("table", {},
      element("thead", {}, element("tr", {}, ...["training", "phases", "period", "heard through", "slowed by"].map((text) => element("th", { scope: "col" }, text)))), card.trainings));
    card.chart = new Chart(card.canvas, (text) => setText(card.read, text || kHint));
    const key = (name, text) => element("span", { class: `key ${name}` }, text);
    card.keys = element("p", { class: "keys" }, key("training", "training"), key("bulk", "bulk"), key("received", "bulk received"), key("closed", "gate closed"), key("probe", "probing"), key("guard", "on guard"));
    this.cards.set(peer, card);
    return element("article", { class: "link" }, element("div", { class: "title" }, element("h3", {}, `to ${peer} `, card.capacity), card.gate), card.now, card.canvas, card.keys, card.read, card.pauses, card.table);
  }

  take(sample) {
    const time = Date.parse(sample.time) / 1000;
    for (const link of sample.links) {
      const kept = this.samples.get(link.peer) ?? [];
      while (kept.length > 0 && time <= kept.at(-1).time) kept.pop();  // the clock went back, or all is told again to a page that came back
      kept.push({ time, sent: link.bulk_send_bits ?? 0, received: link.bulk_receive_bits ?? 0, training: link.foreground_bits, gate: link.gate_send ?? "open", gateBack: link.gate_receive ?? "open", reason: link.reason, burst: link.burst ?? [] });
      while (kept[0].time < time - kKeptSeconds) kept.shift();
      this.samples.set(link.peer, kept);
    }
    // A replay of minutes comes as hundreds of events at once: what is drawn is the last of them.
    if (!this.isDue) requestAnimationFrame(() => this.draw());
    this.isDue = true;
  }

  draw() {
    this.isDue = false;
    for (const [peer, card] of this.cards) {
      const samples = this.samples.get(peer) ?? [];
      const hasGate = card.link.trainings.length > 0 || samples.some((sample) => sample.gate !== "open");
      card.chart.draw(samples, { seconds: this.seconds, capacity: card.link.capacity_bits, hasGate });
      if (samples.length > 0) say(card, samples, hasGate);
    }
  }
}

// The gate as it stands, and the rest as means that are told once a second.
function say(card, samples, hasGate) {
  const last = samples.at(-1), now = performance.now();
  setText(card.gate, hasGate ? `gate ${last.gate}` : "");
  card.gate.dataset.gate = last.gate;
  if (now < card.said + kSaidEvery) return;
  card.said = now;
  const recent = samples.filter((sample) => sample.time > last.time - kMeanSeconds);
  const mean = (field) => recent.reduce((sum, sample) => sum + (sample[field] ?? 0), 0) / recent.length;
  const isMeasured = recent.some((sample) => sample.training != null), capacity = card.link.capacity_bits;
  const received = mean("received");
  card.keys.dataset.received = received > kWorthShowing * (capacity ?? mean("sent"));
  setText(card.now, [
    isMeasured ? `training ${rate(mean("training"))}` : "training not measured",
    `bulk ${rate(mean("sent"))}`,
    received > 0 ? `bulk received ${rate(received)}` : null,
    capacity > 0 ? `${isMeasured ? "together " : ""}${percent((mean("training") + mean("sent")) / capacity)} of the link` : null,
  ].filter(Boolean).join(" · "));
  const held = recent.filter((sample) => sample.gate === "closed" || sample.gate === "guard");
  const reasons = [...new Set(held.map((sample) => inWords(sample.reason)).filter(Boolean))];
  setText(card.pauses, held.length === 0 ? "" : `Bulk paused ${percent(held.length / recent.length)} of the last ${kMeanSeconds} s: ${reasons.join("; ") || "the gate says no reason"}.`);
}

const kPredictor = { locked: "foreseen", acquiring: "being learnt", lost: "lost", none: "announced only" };

function fillTraining(row, training) {
  const isOver = training.inflation != null && training.budget != null && training.inflation > training.budget;
  const text = {
    state: kPredictor[training.predictor] ?? training.predictor,
    period: training.period_s == null ? "–" : `${span(training.period_s)}${training.jitter_s == null ? "" : ` ± ${span(training.jitter_s)}`}`,
    source: training.source == null ? "nothing yet" : `${training.source}${training.source_age_s == null ? "" : `, ${span(training.source_age_s)} ago`}`,
    hurt: training.inflation == null ? "not measured" : `${percent(training.inflation)}${training.budget == null ? "" : isOver ? `, over its ${percent(training.budget)}` : ` of at most ${percent(training.budget)}`}`,
  };
  for (const [column, value] of Object.entries(text)) setText(row.querySelector(`.${column}`), value);
  row.querySelector(".hurt").dataset.over = isOver;
}
