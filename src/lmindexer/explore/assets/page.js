// The page: what is selected, and who is told when that changes.

class Page {
  constructor(summary) {
    this.summary = summary;
    this.runs = summary.runs.map((run) => Tree.ofSummary(run));
    this.labels = Labels.ofSummary(summary);
    this.level = summary.level;
    this.data = null; // ids, texts, labels: when unpacked
    this.address = null; // as well
    this.state = { active: 0, query: "", hits: null, slot: -1, doc: -1 };
    this.palette = new Palette();
    summary.runs.forEach((run, r) => this.colourFirstCodes(this.runs[r], run));
    this.legend = new Legend(document.getElementById("legend"), this);
    this.searching = new Search(this);
    this.tip = new Tip(document.getElementById("tip"));
    const codes = summary.runs.map((run) => {
      const name = summary.runs.length > 1 ? `${run.name}: ` : "";
      return `${name}${run.sizes.join(" × ")} codes, ${number(run.paths)} paths in use`;
    });
    document.getElementById("facts").textContent = [`${number(summary.documents)} documents`, ...codes].join(" · ");
    document.body.classList.toggle("two", this.runs.length > 1);
    this.figures = this.runs.map((tree, r) => this.figure(tree, r));
    document.getElementById("pictures").append(...this.figures.map((figure) => figure.element));
    this.legend.show();
    this.pictures = this.figures.map((figure, r) => new Picture(figure.canvas, this.runs[r], this.listener(r)));
    this.panel = new Panel(document.getElementById("panel"), this);
    this.show();
    this.listen();
  }

  tree(r) {
    return this.runs[r];
  }

  colourFirstCodes(tree, run) {
    run.top.forEach((group, at) => {
      tree.top[at + 1] = this.labels.slot(group);
      tree.topName[at + 1] = this.labels.names[group] ?? "";
      tree.share[at + 1] = run.share[at];
    });
  }

  /** The rest of the data: two steps, so that the page answers in between. */
  async unpackAll() {
    const packed = await unpack("tree");
    const allDocuments = Array.from({ length: this.summary.documents }, (_, doc) => doc);
    const labels = Labels.at(this.level, packed.labels, packed.labelOf);
    const trees = packed.runs.map((run, r) =>
      Tree.ofCodes(this.summary.runs[r], run, run.documents ?? allDocuments, packed.vocabulary, this.summary.documents),
    );
    const { ids, texts } = await unpack("documents");
    this.data = { ids, texts, labels: packed.labels, labelOf: packed.labelOf };
    this.runs = trees;
    this.pictures.forEach((picture, r) => (picture.tree = trees[r]));
    this.colourBy(labels);
    this.searching.open(this.data);
    this.address = new Address(this);
    this.address.restore(false);
    document.documentElement.dataset.state = "ready";
  }

  colourBy(labels) {
    this.labels = labels;
    this.state.slot = -1;
    for (const tree of this.runs) tree.colourBy(labels);
    this.legend.show();
  }

  colourByLevel(level) {
    this.level = level;
    this.colourBy(Labels.at(level, this.data.labels, this.data.labelOf));
  }

  // ---- what a picture asks and tells

  listener(r) {
    return listenerOf(this, {
      opened: (_, node) => this.open(r, node),
      chosen: (_, doc) => this.choose(doc, r),
      back: () => this.back(r),
    });
  }

  textOf(tree, id) {
    if (id < 0) return this.data.texts[tree.order[-1 - id]];
    return `${tree.code[id]}: ${tree.words[id].join(", ") || this.data.texts[tree.order[tree.start[id]]]}`;
  }

  /** A node or a document in a few lines. */
  described(tree, id) {
    if (id < 0) {
      const doc = tree.order[-1 - id];
      return [this.data.ids[doc], tree.idOf(doc), this.data.texts[doc]];
    }
    const label = tree.topName[id] ? `${lastPart(tree.topName[id])} ${percent(tree.share[id])}` : "";
    return [tree.path(id).join(" · "), documentsIn(tree.size[id]), tree.words[id].join(", "), label].filter(Boolean);
  }

  // ---- verbs

  /** Zoom to a node; the list becomes that of its codes unless `tab` is given. */
  open(r, node, tab = this.panel.tab === "found" ? "codes" : this.panel.tab) {
    if (!this.data) return;
    this.state.active = r;
    this.panel.tab = tab;
    this.pictures[r].zoomTo(node);
    this.changed();
  }

  back(r) {
    const picture = this.pictures[r];
    if (picture.focus !== picture.tree.settled(0)) return this.open(r, picture.tree.above(picture.focus));
    if (this.state.doc >= 0) return this.choose(-1);
    if (this.state.slot >= 0) return this.highlight(-1);
    if (this.state.hits) this.search("");
    return undefined;
  }

  /** Show a document in every run, and zoom to where it lives unless it is seen from near already. */
  choose(doc, r = this.state.active) {
    this.state.doc = doc;
    this.state.active = r;
    this.pictures.forEach((picture, at) => {
      const place = doc < 0 ? -1 : picture.tree.placeOf[doc];
      picture.ringed = place < 0 ? -1 : doc;
      const near = picture.focus !== picture.tree.settled(0) && picture.tree.holds(picture.focus, place);
      if (place >= 0 && !near) picture.zoomTo(picture.tree.home(doc));
    });
    this.changed();
  }

  /** Light up the documents of a colour, or no longer. */
  highlight(slot) {
    this.state.slot = this.state.slot === slot ? -1 : slot;
    this.legend.show();
    this.changed();
  }

  chooseLevel(level) {
    this.colourByLevel(level);
    for (const picture of this.pictures) picture.renew();
    this.changed();
  }

  /** The pictures light up where the documents of a query are. */
  search(query) {
    this.find(query);
    if (this.state.hits) this.panel.tab = "found";
    this.changed();
  }

  find(query) {
    const hits = this.searching.find(query);
    Object.assign(this.state, { query: hits ? query : "", hits });
  }

  /** What an address holds. `moving` shows the way there from what is in view. */
  restore({ nodes, active, query, doc, level, slot, tab }, moving) {
    if (level !== this.level) this.colourByLevel(level);
    Object.assign(this.state, { active, doc, slot: this.labels.has(slot) ? slot : -1 });
    this.find(query);
    this.pictures.forEach((picture, r) => {
      picture.ringed = doc >= 0 && picture.tree.placeOf[doc] >= 0 ? doc : -1;
      if (moving) picture.zoomTo(nodes[r]);
      else picture.jumpTo(nodes[r]);
    });
    this.panel.tab = tab ?? (this.state.hits ? "found" : "codes");
    this.legend.show();
    this.show();
  }

  // ---- showing

  litIn(r) {
    const { hits, slot, active } = this.state;
    if (hits) return hits;
    if (slot >= 0) return Array.from(this.data.ids.keys()).filter((doc) => this.labels.slotOf(doc) === slot);
    const source = this.pictures[active];
    if (r !== active && this.data && source.focus !== source.tree.settled(0)) {
      return source.tree.documentsOf(source.focus);
    }
    return null;
  }

  /** The run whose node in view is marked in picture `r` as long as nothing else is, as "rq's 3 · 5"; or "". */
  linkedTo(r) {
    const { hits, slot, active } = this.state;
    if (hits || slot >= 0 || r === active) return "";
    const { tree, focus } = this.pictures[active];
    return `${tree.name}’s ${tree.path(focus).join(" · ")}`;
  }

  /** After every verb. */
  changed() {
    this.show();
    this.address?.keep();
  }

  show() {
    this.pictures.forEach((picture, r) => {
      const lit = this.litIn(r);
      if (lit || picture.lit) {
        picture.lit = lit;
        picture.relight();
      } else if (!picture.animation) picture.paint();
      const { element, heading } = this.figures[r];
      heading.show(lit);
      element.classList.toggle("active", this.runs.length > 1 && r === this.state.active);
      element.dataset.path = picture.tree.path(picture.focus).join(".");
    });
    this.panel.show();
  }

  figure(tree, r) {
    const canvas = make("canvas", { tabIndex: 0, role: "application", "aria-roledescription": "map of the ID tree" });
    canvas.setAttribute("aria-label", `${tree.name}: arrow keys move between codes, Enter opens, Escape goes back`);
    const heading = new Heading(this, r);
    const stage = make("div", { className: "stage" }, canvas);
    return { element: make("figure", { id: `run-${r}` }, heading.element, stage), canvas, heading };
  }

  listen() {
    addEventListener("keydown", (event) => {
      const { box } = this.searching;
      if (event.key === "/" && document.activeElement !== box && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        box.focus();
      }
      if (event.key === "Escape" && this.data) this.back(this.state.active);
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.palette = new Palette();
      for (const picture of this.pictures) picture.renew();
    });
  }
}

const page = new Page(readSummary());
document.documentElement.dataset.state = "summary";
addEventListener("DOMContentLoaded", () => {
  // Two frames later the summary has been painted; unpacking may now take its time.
  requestAnimationFrame(() =>
    requestAnimationFrame(() =>
      page.unpackAll().catch((error) => {
        const text = `The documents of this page could not be unpacked (${error.message}); a current browser is needed.`;
        document.body.append(make("p", { className: "notice", role: "alert" }, text));
        throw error;
      }),
    ),
  );
});
