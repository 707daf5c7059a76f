// The chosen document: its text, its ID, its neighbours, and why it was found or not.

class About {
  constructor(element, page) {
    Object.assign(this, { element, page, id: "" });
  }

  hide() {
    this.id = "";
    this.element.hidden = true;
  }

  async show(id) {
    this.id = id;
    const { page } = this;
    const found = await fetched(documentAt(id, page.run.name));
    if (this.id !== id) return; // another was chosen meanwhile
    const close = make("button", { type: "button", className: "close", "aria-label": "Close" }, "×");
    close.addEventListener("click", () => page.choose(""));
    const why = make("section", { id: "why" });
    const neighbours = found.neighbours.map((other) => {
      const button = make("button", { type: "button", dir: "auto" }, other.text || other.id);
      button.addEventListener("click", () => page.choose(other.id));
      return make("li", {}, button);
    });
    this.element.replaceChildren(
      close,
      make("h2", { dir: "auto", tabIndex: -1 }, found.text || found.id),
      make("p", { className: "line" }, make("code", {}, found.id), make("span", { dir: "auto" }, found.label.join(" › "))),
      pathOf(found.path, (codes) => page.tree.openPath(codes)),
      why,
      ...(neighbours.length ? [make("h3", {}, "Under the same code"), make("ul", { className: "neighbours" }, ...neighbours)] : []),
    );
    this.element.hidden = false;
    this.element.querySelector("h2").focus({ preventScroll: matchMedia("(min-width: 861px)").matches });
    const question = page.question();
    if (question) this.offer(why, question, id);
  }

  /** A button that asks for the reasons: they cost a search of their own. */
  offer(why, question, id) {
    const button = make("button", { type: "button", className: "ask" }, "Why is it found, or not?");
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        this.explain(why, await fetched("explain", { ...question, id, run: this.page.run.name }));
      } catch (error) {
        why.replaceChildren(make("p", { role: "alert" }, error.message));
      }
    });
    why.replaceChildren(button);
  }

  explain(why, found) {
    const place = found.rank ? `Number ${found.rank} of what is found` : "Not among the first 100";
    const fell = found.fell_off ? `; its path falls off the beam at position ${found.fell_off}` : "";
    const lines = [make("p", {}, `${place}${fell}.`)];
    if (found.path.length) lines.push(this.positions(found));
    if (Object.keys(found.parts).length) {
      lines.push(barsOf(found.parts, Math.max(1e-9, ...Object.values(found.parts))));
    }
    const { bm25, dense } = found;
    lines.push(make("p", {}, `BM25: ${bm25.note ?? (bm25.rank ? `number ${bm25.rank}, score ${bm25.score.toFixed(2)}` : "has no word of it")}`));
    if (bm25.rank) lines.push(barsOf(bm25.words, Math.max(...Object.values(bm25.words))));
    lines.push(make("p", {}, `Dense: ${dense.note ?? `cosine ${dense.cosine.toFixed(3)}`}`));
    why.replaceChildren(...lines);
    why.dataset.state = "ready";
  }

  positions(found) {
    const head = ["position", "code", "log P", "so far", "rank", "kept"].map((name) => make("th", { scope: "col" }, name));
    const digits = (value) => (value === null ? "–" : value.toFixed(2));
    const rows = found.path.map((step, at) => {
      const kept = step.kept ? "yes" : `no, from ${digits(step.lowest_kept)}`;
      const cells = [at + 1, `${step.code} ${step.words.slice(0, 2).join(" ")}`, digits(step.log_p), digits(step.score), step.rank ?? "–", kept];
      return make("tr", { className: step.kept ? "" : "fallen" }, ...cells.map((cell) => make("td", { dir: "auto" }, String(cell))));
    });
    return make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows));
  }
}
