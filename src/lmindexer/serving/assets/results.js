// The list of what was found.

/** The codes of a path as buttons that say what is below them; `open` is called with the codes up to the pressed one. */
function pathOf(codes, open) {
  const path = make("div", { className: "path" });
  codes.forEach(({ code, words }, at) => {
    const button = make("button", { type: "button", className: "step", title: words.join(", ") });
    button.append(make("b", {}, String(code)), make("span", { dir: "auto" }, words.slice(0, 2).join(" ")));
    button.addEventListener("click", () => open(codes.slice(0, at + 1).map((step) => step.code)));
    path.append(button);
  });
  return path;
}

/** What a score is the sum of. A logarithm of a probability is as long as the probability; others are to scale. */
function barsOf(parts, longest) {
  const bars = make("div", { className: "parts" });
  for (const [name, value] of Object.entries(parts)) {
    const share = value < 0 ? Math.exp(value) : value / longest;
    const fill = make("span", { className: "fill" });
    fill.style.width = `${Math.round(100 * Math.min(1, share))}%`;
    const numbers = value < 0 ? `${value.toFixed(2)} nats, probability ${percent(share)}` : value.toFixed(3);
    const track = make("span", { className: "track" }, fill);
    bars.append(make("span", { className: "part", title: `${name}: ${numbers}` }, make("span", { dir: "auto" }, name), track));
  }
  return bars;
}

class Results {
  /** `page` opens codes, chooses documents and keeps the history. */
  constructor(list, page) {
    Object.assign(this, { list, page, items: [] });
    list.addEventListener("keydown", (event) => this.key(event));
  }

  show(hits) {
    const longest = Math.max(1e-9, ...hits.flatMap((hit) => Object.values(hit.parts ?? {})));
    this.items = hits.map((hit) => this.item(hit, longest));
    this.list.replaceChildren(...this.items.map(({ element }) => element));
  }

  item(hit, longest) {
    const { page } = this;
    const title = make("button", { type: "button", className: "title", dir: "auto" }, hit.text || hit.id);
    title.addEventListener("click", () => page.choose(hit.id));
    const line = make("p", { className: "line" }, make("code", {}, hit.id));
    if (hit.label?.length) line.append(make("span", { dir: "auto" }, hit.label.join(" › ")));
    if (hit.new) line.append(make("span", { className: "new" }, "new"));
    if (hit.score !== undefined) line.append(make("span", { className: "score", title: "Score" }, hit.score.toFixed(3)));
    if (page.canRecommend) {
      const add = make("button", { type: "button", className: "add", "aria-label": `Add ${hit.id} to the history` }, "+ history");
      add.addEventListener("click", () => page.take(hit));
      line.append(add);
    }
    const element = make("li", {}, title, line, pathOf(hit.path, (codes) => page.tree.openPath(codes)));
    if (hit.parts && Object.keys(hit.parts).length) element.append(barsOf(hit.parts, longest));
    return { element, title, hit };
  }

  mark(id) {
    for (const { element, hit } of this.items) element.classList.toggle("chosen", hit.id === id);
  }

  /** The keyboard goes on at a document; nothing happens where it is not in the list. */
  focusOn(id) {
    this.items.find(({ hit }) => hit.id === id)?.title.focus();
  }

  focus(at) {
    this.items[Math.max(0, Math.min(at, this.items.length - 1))]?.title.focus();
  }

  key(event) {
    const at = this.items.findIndex(({ title }) => title === document.activeElement);
    if (at < 0) return;
    if (event.key === "ArrowDown") this.focus(at + 1);
    else if (event.key === "ArrowUp" && at === 0) this.page.box.focus();
    else if (event.key === "ArrowUp") this.focus(at - 1);
    else if (event.key === "h" && this.page.canRecommend) this.page.take(this.items[at].hit);
    else return;
    event.preventDefault();
  }
}
