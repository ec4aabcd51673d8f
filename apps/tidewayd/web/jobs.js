// SPDX-License-Identifier: Apache-2.0
//
// The queue: what runs with how far it is, what waits with why, and what ended last.

import { ask } from "./live.js";
import { element, reconcile, setText, size, rate, span } from "./format.js";
import { inWords } from "./reasons.js";

const kOrder = ["running", "waiting", "paused", "queued"], kOver = ["published", "failed", "cancelled"];
const kShown = 50, kOverShown = 20;  // of each state; the number of all is told

const place = (id) => document.getElementById(id);

export class Jobs {
  constructor(list, over, count) {
    this.list = list;
    this.over = over;
    this.count = count;
    this.jobs = new Map();
    this.pace = new Map();  // by job: its last bytes and when, and a rate
  }

  // What there was before the page: the events tell the rest.
  async load() {
    const wanted = [...kOrder.map((state) => `/v1/jobs?state=${state}&limit=${kShown}`), ...kOver.map((state) => `/v1/jobs?state=${state}&limit=${kOverShown}&order=newest`)];
    const pages = await Promise.all(wanted.map(ask));
    this.jobs = new Map(pages.flatMap((page) => page.jobs).map((job) => [job.id, job]));
    this.draw();
  }

  take(job) {
    this.measure(job);
    this.jobs.set(job.id, job);
    this.draw();
  }

  measure(job) {
    if (job.state !== "running" || !job.progress) return this.pace.delete(job.id);
    const now = performance.now(), done = job.progress.bytes_done, before = this.pace.get(job.id);
    if (!before || done < before.done) return this.pace.set(job.id, { done, now, bits: null });
    const seconds = (now - before.now) / 1000;
    if (seconds < 0.5) return undefined;
    const bits = (8 * (done - before.done)) / seconds;
    return this.pace.set(job.id, { done, now, bits: before.bits == null ? bits : 0.6 * before.bits + 0.4 * bits });
  }

  // A long queue tells of more jobs than anybody looks at.
  forget(shown) {
    const kept = new Set(shown.map((job) => job.id));
    for (const job of [...this.jobs.values()]) if (kOrder.includes(job.state) && !kept.has(job.id)) this.jobs.delete(job.id);
  }

  draw() {
    const newest = (a, b) => b.number - a.number;
    const of = (states) => [...this.jobs.values()].filter((job) => states.includes(job.state));
    const live = kOrder.flatMap((state) => of([state]).sort((a, b) => a.number - b.number).slice(0, kShown));
    this.forget(live);
    const over = of(kOver).sort(newest).slice(0, kOverShown);
    for (const [list, jobs] of [[this.list, live], [this.over, over]]) {
      reconcile(list, jobs.map((job) => job.id), () => card());
      for (const [i, child] of [...list.children].entries()) fill(child, jobs[i], this.pace.get(jobs[i].id)?.bits);
    }
    for (const job of of(kOver).sort(newest).slice(4 * kOverShown)) this.jobs.delete(job.id);
    place("no-jobs").hidden = live.length > 0;
    place("over-title").hidden = over.length === 0;
    const running = live.filter((job) => job.state === "running").length;
    setText(this.count, live.length === 0 ? "" : `${running} running, ${live.length - running} not`);
  }
}

function card() {
  return element("li", { class: "job" },
    element("div", { class: "line" }, element("span", { class: "badge" }), element("strong", { class: "what" }), element("span", { class: "class" })),
    element("progress", { max: 1 }),
    element("p", { class: "numbers" }),
    element("p", { class: "why" }));
}

function route(job) {
  const { sources, destination } = job.spec;
  return `${sources[0]}${sources.length > 1 ? ` and ${sources.length - 1} more` : ""} → ${destination}`;
}

function numbers(job, bits) {
  const { progress, outcome } = job;
  if (outcome) return [`${size(outcome.bytes)} in ${span(outcome.milliseconds / 1000)}`, outcome.failed > 0 ? `${outcome.failed} entries failed` : null, job.ended?.slice(0, 16).replace("T", " ")];
  if (!progress) return [];
  const left = progress.bytes_total - progress.bytes_done;
  return [progress.stage, `${size(progress.bytes_done)} of ${size(progress.bytes_total)}`, bits == null ? null : rate(bits),
    bits > 0 && left > 0 ? `${span(left / (bits / 8))} left` : null, progress.backend === "tls" ? "over TLS" : null];
}

function named(reason) {
  const words = inWords(reason);
  return words === reason ? words : `${words} (${reason})`;
}

function why(job) {
  if (job.error) return [job.error.detail, job.error.next].filter(Boolean).join(" – ");
  if (!job.wait) return job.held_by ? `held up: ${named(job.held_by)}` : "";
  return [`waits: ${named(job.wait.reason)}`, job.wait.detail, job.wait.next].filter(Boolean).join(" – ");
}

function fill(card, job, bits) {
  const at = (name) => card.querySelector(name);
  if (card.dataset.state !== job.state) card.dataset.state = job.state;
  setText(at(".badge"), job.state);
  setText(at(".what"), route(job));
  setText(at(".class"), [job.spec.class ?? "best-effort", job.spec.every_s ? `every ${span(job.spec.every_s)}` : null].filter(Boolean).join(", "));
  const bar = at("progress"), { progress } = job;
  bar.hidden = job.state !== "running";
  bar.setAttribute("aria-label", `Progress of ${route(job)}`);
  if (progress && progress.bytes_total > 0) bar.value = Math.min(1, progress.bytes_done / progress.bytes_total);
  else bar.removeAttribute("value");
  setText(at(".numbers"), numbers(job, bits).filter(Boolean).join(" · "));
  setText(at(".why"), why(job));
}
