# SPDX-License-Identifier: Apache-2.0
#
# Looks at the page in a headless Chromium: that of a gateway at work, and its files beside what one with a training would tell.
#   web_page.py URL FOLDER
import sys
import urllib.parse

import browser
import web_fake

# Of the plot: how many pixels have the colour of a property of the page.
COUNT = """(name) => {
  const canvas = document.querySelector("canvas");
  if (canvas === null) return 0;
  const copy = new OffscreenCanvas(canvas.width, canvas.height + 1).getContext("2d", { willReadFrequently: true });
  copy.fillStyle = getComputedStyle(canvas).getPropertyValue(name);
  copy.fillRect(0, canvas.height, 1, 1);
  copy.drawImage(canvas, 0, 0);
  const [r, g, b] = copy.getImageData(0, canvas.height, 1, 1).data, all = copy.getImageData(0, 0, canvas.width, canvas.height).data;
  let count = 0;
  for (let i = 0; i < all.length; i += 4) count += all[i] === r && all[i + 1] === g && all[i + 2] === b;
  return count;
}"""
TEXT = "document.body.innerText"


def says(page, words):
    page.until(f"{TEXT}.includes({words!r})")


def fits(page, width):
    """Nothing stands over the edge, and what people touch is large enough for a finger."""
    page.look(width)
    wide = page.evaluate("[...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5 && one.getClientRects().length > 0)"
                         ".map((one) => one.outerHTML.slice(0, 80))")
    assert page.evaluate("document.documentElement.scrollWidth") <= width and not wide, (width, wide)
    assert page.evaluate("[...document.querySelectorAll('fieldset label')].every((one) => one.getBoundingClientRect().height >= 24)")


def with_training(page, url):
    page.open(url)
    says(page, "to wisconsin 1 Gbit/s, shared".replace(" G", "\u00a0G"))
    page.until(f"({COUNT})('--training') > 5000 && ({COUNT})('--bulk') > 5000 && ({COUNT})('--closed') > 100")
    says(page, "training llm7 is sending (gate:llm7)")
    says(page, "1.3\u00a0%, over its 1\u00a0%")
    says(page, "held up: the receiver's disk (receiver_disk)")
    says(page, "llm7: an expected burst did not come (wrong)")
    says(page, "llm7: bulk makes its iterations longer than it may (over_budget) – 1.3\u00a0% instead of 1\u00a0%")
    assert not page.evaluate("document.body.innerText.includes('llm8')"), "one that is back within its budget is still shown"
    says(page, "root data on oslo needs 4.1 TiB more")
    says(page, f"data:{web_fake.SCRIPT} → wisconsin:data/{web_fake.SCRIPT}")
    assert page.evaluate("document.querySelector('[onerror]') === null && document.title !== 'run'"), "a name of a folder became a part of the page"
    page.until("/Bulk paused \\d+.% of the last 10 s: .*training llm7 is sending/.test(document.body.innerText)")
    # It is alive: the plot moves, the bar grows, and a job that ends meanwhile moves to those that ended.
    picture = page.evaluate("document.querySelector('canvas').toDataURL()")
    done = page.evaluate("document.querySelector('.job progress').value")
    page.until(f"document.querySelector('canvas').toDataURL() !== {picture!r}")
    page.until(f"document.querySelector('.job progress').value > {done}")
    page.evaluate("document.querySelector('#over-title summary').click()")
    says(page, "step-14000")
    # The paths: what is sent, round trip, loss and packet size.
    page.until("[...document.querySelectorAll('tr')].some((row) => /wisconsin[^]*bit.s[^]*20\\.4\\sms[^]*0\\.013\\s?%[^]*1[, ]?472/.test(row.innerText))")
    page.until("/[0-9]\\sMbit.s · .* left/.test(document.querySelector('.job .numbers').innerText)")
    # The arrow keys read the plot.
    page.evaluate("document.querySelector('canvas').focus()")
    page.send("Input.dispatchKeyEvent", type="keyDown", key="ArrowLeft")
    page.until("/ms before: training .*, bulk .*, gate /.test(document.querySelector('.read').innerText)")
    # Each thing that can be used has a name.
    nameless = page.evaluate("[...document.querySelectorAll('canvas, progress, input, summary')].filter((one) => !(one.ariaLabel || one.innerText || one.closest('label')?.innerText)).length")
    assert nameless == 0, nameless
    # From five minutes down to twenty seconds.
    page.evaluate("document.querySelector('[value=\"300\"]').click()")
    page.until(f"({COUNT})('--training') > 5000")
    for scheme in ("dark", "light"):
        page.look(390, scheme=scheme)
        page.until(f"({COUNT})('--training') > 2000")
    for width in (390, 320):
        fits(page, width)


def of_gateway(page, url):
    page.open(url)
    says(page, "atlanta / gw1")
    page.until("document.querySelector('#live').dataset.state === 'live'")
    page.until("document.querySelector('[data-state=\"running\"] progress')?.value > 0")
    says(page, "data:tree → wisconsin:data/shown")
    says(page, "connected")
    page.until("/held up: (a rate limit .rate_limit|training llm7 is sending .gate:llm7|feels whether)/.test(document.body.innerText)")
    says(page, "to wisconsin 1 Gbit/s, shared".replace(" G", "\u00a0G"))
    for state in ("closed", "open"):
        page.until(f"document.querySelector('.gate').dataset.gate === '{state}'")
    page.until("/Bulk paused \\d+.% of the last 10 s: .*training llm7 is sending/.test(document.body.innerText)")
    page.until("/api, .* ago/.test(document.querySelector('td.source').innerText)")
    page.until(f"({COUNT})('--training') > 100 && ({COUNT})('--bulk') > 100")
    page.evaluate("document.querySelector('#over-title').open = true")
    page.until("document.querySelector('[data-state=\"published\"]') !== null")
    fits(page, 390)


def main():
    gateway, folder = sys.argv[1:]
    page = browser.Browser()
    try:
        of_gateway(page, gateway)
        training = f"http://127.0.0.1:{web_fake.serve(folder)}/"
        with_training(page, training)
        ours = [urllib.parse.urlsplit(url).netloc for url in (gateway, training)]
        elsewhere = [one for one in page.requests if urllib.parse.urlsplit(one).netloc not in ours and one != "about:blank"]
        assert not elsewhere, elsewhere
        assert not page.complaints, page.complaints
    finally:
        page.close()


main()
