// SPDX-License-Identifier: Apache-2.0
//
// What the gateway tells: answers, and streams that come back by themselves. A page that nobody looks at holds no stream: a
// browser has six connections to a server for all of its tabs together.

export async function ask(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) throw Object.assign(new Error(`${path} was answered with ${answer.status}`), { status: answer.status });
  return answer.json();
}

const kAgainFirst = 1000, kAgainMost = 15000;

export class Stream {
  // `on` has a function for each type of event, `state` one that is told "live", "lost" or "absent".
  constructor(path, on, state) {
    this.path = path;
    this.on = on;
    this.state = state;
    this.again = kAgainFirst;
    document.addEventListener("visibilitychange", () => this.follow());
    this.follow();
  }

  follow() {
    clearTimeout(this.timer);
    if (document.hidden) return this.close();
    if (!this.source) this.open();
  }

  close() {
    this.source?.close();
    this.source = null;
  }

  open() {
    const source = new EventSource(this.path);
    this.source = source;
    source.onopen = () => {
      this.again = kAgainFirst;
      this.state("live");
    };
    for (const [type, take] of Object.entries(this.on)) source.addEventListener(type, (event) => take(JSON.parse(event.data)));
    source.onerror = () => {
      this.state("lost");
      if (source.readyState !== EventSource.CLOSED) return;  // the browser tries again
      this.close();
      this.timer = setTimeout(() => this.follow(), this.again);
      this.again = Math.min(2 * this.again, kAgainMost);
    };
  }
}

// Calls `look` now and every so often while the page is looked at.
export function repeat(milliseconds, look) {
  const turn = () => document.hidden || look();
  document.addEventListener("visibilitychange", turn);
  setInterval(turn, milliseconds);
  turn();
}
