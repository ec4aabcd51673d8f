// SPDX-License-Identifier: Apache-2.0
//
// The peers and what the paths to them are like now: a rate from the bytes of the look before, round trip, loss, packet size.

import { element, labelled, percent, rate, reconcile, setText, span } from "./format.js";

const kColumns = { up: "session", sent: "sends", received: "receives", rtt: "round trip", loss: "loss", mtu: "packet" };

export class Paths {
  constructor(body) {
    this.body = body;
    this.before = new Map();
  }

  // `links` by peer, where the gateway has any; `jobs` tell of paths that are in use.
  draw(peers, links, jobs) {
    const now = performance.now();
    reconcile(this.body, peers.map((peer) => peer.name), (name) =>
      element("tr", {}, element("th", { scope: "row" }, name), ...labelled(kColumns)));
    for (const [i, row] of [...this.body.children].entries()) {
      const peer = peers[i], before = this.before.get(peer.name), link = links.get(peer.name);
      const flowing = [...jobs.values()].find((job) => job.peer === peer.name && job.state === "running" && job.progress?.flows > 0)?.progress;
      const bits = (field) => (before && peer[field] >= before.peer[field] ? (8000 * (peer[field] - before.peer[field])) / (now - before.now) : null);
      const text = {
        up: peer.up ? "connected" : peer.sessions > 0 ? "connecting" : "idle",
        sent: rate(bits("bytes_sent")),
        received: rate(bits("bytes_received")),
        rtt: span(link?.rtt_s ?? (flowing?.rtt_ns > 0 ? flowing.rtt_ns / 1e9 : null)),
        loss: percent(link?.loss ?? (flowing?.packets_sent > 0 ? flowing.packets_lost / flowing.packets_sent : null)),
        mtu: flowing?.path_mtu > 0 ? `${flowing.path_mtu}\u00a0B` : "–",
      };
      for (const [column, value] of Object.entries(text)) setText(row.querySelector(`.${column}`), value);
      row.querySelector(".up").dataset.up = peer.up;
      this.before.set(peer.name, { peer, now });
    }
  }
}
