// SPDX-License-Identifier: Apache-2.0
//
// The page of a gateway. It only looks: what it asks is in the read-only part of the API.

import { ask, repeat, Stream } from "./live.js";
import { Alarms } from "./alarms.js";
import { Jobs } from "./jobs.js";
import { Paths } from "./paths.js";
import { Tide } from "./tide.js";
import { setText } from "./format.js";

const place = (id) => document.getElementById(id);
const kLookEvery = 2000;

const jobs = new Jobs(place("jobs"), place("over"), place("job-count"));
const paths = new Paths(place("paths"));
const alarms = new Alarms(place("alarms"));
const tide = new Tide(place("links"), place("no-links"), place("window"));

const kStates = { live: "live", lost: "not reached, trying again" };
function tell(state) {
  place("live").dataset.state = state;
  setText(place("live"), kStates[state]);
}

// Events of jobs begin with the connection, so the list is read again with each.
const kHeard = { state: (job) => jobs.take(job), progress: (job) => jobs.take(job), alarm: (alarm) => alarms.take(alarm), budget: (news) => alarms.takeBudget(news) };
new Stream("/v1/events", kHeard, (state) => {
  tell(state);
  if (state === "live") jobs.load().catch(() => tell("lost"));
});

let hasLinks = true;
async function links() {
  if (!hasLinks) return [];
  try {
    return (await ask("/v1/links")).links;
  } catch (failed) {
    hasLinks = !(failed.status >= 400 && failed.status < 500);  // a gateway that has none to tell of
    return [];
  }
}

let stream = null;
repeat(kLookEvery, async () => {
  try {
    const [{ peers }, all] = await Promise.all([ask("/v1/peers"), links()]);
    paths.draw(peers, new Map(all.map((link) => [link.peer, link])), jobs.jobs);
    tide.describe(all);
    alarms.draw();  // the old ones go
    if (all.length > 0) stream ??= new Stream("/v1/tide", { tide: (sample) => tide.take(sample) }, () => {});
  } catch {
    tell("lost");
  }
});

ask("/v1/version").then(({ program, site, gateway }) => {
  setText(place("site"), `${site} / ${gateway}`);
  document.title = `Tideway ${site}`;
  setText(place("version"), `tidewayd ${program}`);
}, () => tell("lost"));
