// SPDX-License-Identifier: Apache-2.0
//
// Signals of trainings with which something is wrong, as the gateway tells it while somebody looks; what lasts it tells again. And trainings
// that bulk costs more than it may.

import { element, percent, reconcile, setText } from "./format.js";

const kShown = 5, kKept = 600_000;  // milliseconds
const kAlarms = {
  stale: "nobody ended a burst",
  lost: "silent for three periods",
  late: "a burst was announced late",
  wrong: "an expected burst did not come",
  forged: "somebody without the right to speaks of it",
  held: "trainings leave bulk no gap there",
  over_budget: "bulk makes its iterations longer than it may",
};

export class Alarms {
  constructor(list) {
    this.list = list;
    this.alarms = new Map();  // by what is wrong with whom: when it was told last, how often, and the answer
  }

  take({ alarm, about, answer }) {
    const key = `${alarm} ${about}`, told = (this.alarms.get(key)?.told ?? 0) + 1;
    this.alarms.delete(key);
    this.alarms.set(key, { alarm, about, answer, told, at: Date.now() });
    this.draw();
  }

  // One that is back within its budget is no alarm any more.
  takeBudget({ training, inflation, budget, over }) {
    const alarm = "over_budget";
    if (over) return this.take({ alarm, about: training, answer: `${percent(inflation)} instead of ${percent(budget)}; the gate grows stricter` });
    this.alarms.delete(`${alarm} ${training}`);
    this.draw();
  }

  draw() {
    for (const [key, one] of this.alarms) if (Date.now() - one.at > kKept) this.alarms.delete(key);
    const newest = [...this.alarms.entries()].reverse().slice(0, kShown);
    reconcile(this.list, newest.map(([key]) => key), () => element("li", { class: "alarm" }));
    for (const [i, child] of [...this.list.children].entries()) setText(child, inWords(newest[i][1]));
    this.list.hidden = newest.length === 0;
  }
}

function inWords({ alarm, about, answer, told, at }) {
  const times = told > 1 ? `, told ${told} times` : "";
  return `${about}: ${kAlarms[alarm] ?? alarm} (${alarm}) – ${answer} – ${new Date(at).toLocaleTimeString()}${times}`;
}
