// The page: what is selected, and who is told when that changes.

const SEARCH_DELAY = 120; // milliseconds after the last key

class Page {
  constructor(summary) {
    this.summary = summary;
    this.runs = summary.runs.map((run) => Tree.ofSummary(run));
    this.labels = Labels.ofSummary(summary);
    this.level = summary.level;
    this.data = null; // ids, texts, labels: when unpacked
    this.state = { active: 0, hits: null, slot: -1, doc: -1 };
    this.palette = new Palette();
    summary.runs.forEach((run, r) => this.colourFirstCodes(this.runs[r], run));
    this.legend = new Legend(document.getElementById("legend"), this);
    this.query = document.getElementById("query");
    this.query.title = `Searches ids and the first ${summary.textLength} characters of the texts; all words must be there`;
    this.found = document.getElementById("found");
    this.tip = document.getElementById("tip");
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
    this.changed();
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
    this.keys = ids.map((id, doc) => `${id}\n${texts[doc]}`.toLowerCase());
    this.runs = trees;
    this.pictures.forEach((picture, r) => {
      picture.tree = trees[r];
      picture.focus = trees[r].settled(0);
    });
    this.colourBy(labels);
    this.query.disabled = false;
    document.documentElement.dataset.state = "ready";
  }

  colourBy(labels) {
    this.labels = labels;
    this.state.slot = -1;
    for (const tree of this.runs) tree.colourBy(labels);
    this.legend.show();
    for (const picture of this.pictures) picture.renew();
    this.changed();
  }

  chooseLevel(level) {
    this.level = level;
    this.colourBy(Labels.at(level, this.data.labels, this.data.labelOf));
  }

  // ---- what a picture asks and tells

  listener(r) {
    const page = this;
    return {
      get palette() {
        return page.palette;
      },
      get labelled() {
        return page.labels.exist;
      },
      slotOf: (doc) => this.labels.slotOf(doc),
      styleOf: (tree, id) => this.styleOf(tree, id),
      textOf: (tree, id) => this.textOf(tree, id),
      opened: (_, node) => this.open(r, node),
      chosen: (_, doc) => this.choose(doc, r),
      back: () => this.back(r),
      hovered: (picture, found, event) => this.hover(picture, found, event),
      spoken: (picture, tile) => {
        document.getElementById("spoken").textContent = this.described(picture.tree, tile.id).join(", ");
      },
    };
  }

  styleOf(tree, id) {
    if (!this.labels.exist) {
      if (id < 0) return 0;
      return Math.round((Math.log(tree.size[id]) / Math.log(Math.max(2, tree.largest[tree.depth[id]]))) * (STEPS - 1));
    }
    if (id < 0) return this.labels.slotOf(tree.order[-1 - id]) * STEPS + STEPS - 1;
    return tree.top[id] * STEPS + Math.round(tree.share[id] * (STEPS - 1));
  }

  textOf(tree, id) {
    if (id < 0) return this.data.texts[tree.order[-1 - id]];
    if (tree.words[id].length) return tree.words[id].join(", ");
    return this.data && tree.size[id] ? this.data.texts[tree.order[tree.start[id]]] : "";
  }

  /** A node or a document in a few lines. */
  described(tree, id) {
    if (id < 0) {
      const doc = tree.order[-1 - id];
      return [this.data.ids[doc], tree.idOf(doc), this.data.texts[doc]];
    }
    const count = `${number(tree.size[id])} ${tree.size[id] === 1 ? "document" : "documents"}`;
    const label = tree.topName[id] ? `${lastPart(tree.topName[id])} ${percent(tree.share[id])}` : "";
    return [tree.path(id).join(" · "), count, tree.words[id].join(", "), label].filter(Boolean);
  }

  hover(picture, found, event) {
    const { tip } = this;
    tip.hidden = !found;
    if (!found) return;
    const lines = this.described(picture.tree, found.tile.id);
    const [first, ...rest] = found.cell ? this.described(picture.tree, found.cell.id) : [];
    tip.replaceChildren(
      make("strong", {}, lines[0]),
      ...lines.slice(1).map((line) => make("span", { dir: "auto" }, line)),
      ...(first ? [make("strong", { className: "within" }, first)] : []),
      ...rest.map((line) => make("span", { dir: "auto" }, line)),
    );
    const { offsetWidth, offsetHeight } = tip;
    const left = event.clientX + 16 + offsetWidth > innerWidth ? event.clientX - 12 - offsetWidth : event.clientX + 16;
    const top = Math.min(event.clientY + 16, innerHeight - offsetHeight - 8);
    tip.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
  }

  // ---- verbs

  open(r, node) {
    if (!this.data) return;
    this.state.active = r;
    if (this.panel.tab === "found") this.panel.tab = "codes";
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

  /** Documents whose id and text have all the words; the pictures light up where they are. */
  search(query) {
    if (this.query.value !== query) this.query.value = query;
    const terms = query.toLowerCase().split(/\s+/).filter(Boolean);
    const hits = [];
    if (terms.length) {
      for (let doc = 0; doc < this.keys.length; doc++) {
        if (terms.every((term) => this.keys[doc].includes(term))) hits.push(doc);
      }
    }
    this.state.hits = terms.length ? hits : null;
    this.found.textContent = terms.length ? `${number(hits.length)} found` : "";
    if (terms.length) this.panel.tab = "found";
    this.changed();
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

  changed() {
    this.pictures.forEach((picture, r) => {
      const lit = this.litIn(r);
      if (lit || picture.lit) {
        picture.lit = lit;
        picture.relight();
      } else if (!picture.animation) picture.paint();
      this.showCrumbs(r, lit);
    });
    this.panel.show();
  }

  figure(tree, r) {
    const crumbs = make("nav", { className: "crumbs", "aria-label": `Path in ${tree.name}` });
    const canvas = make("canvas", { tabIndex: 0, role: "application", "aria-roledescription": "map of the ID tree" });
    canvas.setAttribute("aria-label", `${tree.name}: arrow keys move between codes, Enter opens, Escape goes back`);
    const caption = make("figcaption", {});
    const stage = make("div", { className: "stage" }, canvas);
    const element = make("figure", { id: `run-${r}` }, crumbs, stage, caption);
    return { element, canvas, crumbs, caption };
  }

  showCrumbs(r, lit) {
    const { element, crumbs, caption, canvas } = this.figures[r];
    const { tree, focus, inView } = this.pictures[r];
    const path = tree.path(focus);
    const whole = make("button", {}, tree.name);
    whole.addEventListener("click", () => this.open(r, 0));
    const links = [whole];
    const nodes = [];
    for (let node = focus; node; node = tree.parent[node]) nodes.unshift(node);
    nodes.forEach((node, at) => {
      const link = make("button", {}, String(path[at]));
      link.addEventListener("click", () => this.open(r, node));
      links.push(make("span", { "aria-hidden": "true" }, "›"), link);
    });
    links.at(-1).setAttribute("aria-current", "page");
    const back = make("button", { className: "back", "aria-label": "Back", disabled: focus === tree.settled(0) }, "←");
    back.addEventListener("click", () => this.back(r));
    crumbs.replaceChildren(back, ...links);
    element.classList.toggle("active", this.runs.length > 1 && r === this.state.active);
    element.dataset.path = path.join(".");
    canvas.dataset.lit = lit ? inView : "";
    caption.textContent = lit ? this.litCaption(r, lit, inView) : `${number(tree.size[focus])} documents in view`;
  }

  litCaption(r, lit, inView) {
    const linked = !this.state.hits && this.state.slot < 0;
    const from = linked ? ` of ${this.tree(this.state.active).name}’s ${this.figures[this.state.active].element.dataset.path.replaceAll(".", " · ")}` : "";
    return `${number(inView)} of ${number(lit.length)} marked documents${from} in view`;
  }

  listen() {
    let waiting = 0;
    this.query.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.search(this.query.value), SEARCH_DELAY);
    });
    this.query.addEventListener("keydown", (event) => {
      if (event.key === "ArrowDown") this.panel.listElement.focus();
      if (event.key === "Enter") {
        clearTimeout(waiting);
        this.search(this.query.value);
        if (this.state.hits?.length) this.choose(this.state.hits[0]);
      }
      if (event.key === "ArrowDown" || event.key === "Enter") event.preventDefault();
    });
    addEventListener("keydown", (event) => {
      if (event.key === "/" && document.activeElement !== this.query && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        this.query.focus();
      }
      if (event.key !== "Escape") return;
      if (document.activeElement === this.query && this.query.value) {
        event.preventDefault();
        clearTimeout(waiting);
        this.search("");
      } else if (this.data) this.back(this.state.active);
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
