// The picture of `lmindexer explore` beside the answers, which light up in it.

class TreePane {
  constructor(figure, page) {
    Object.assign(this, { figure, page, number: 0, run: "", pictures: [], panel: { tab: "" }, wanted: [], texts: new Map() });
    this.labels = Labels.at(-1, [], []);
    this.palette = new Palette();
    this.tip = new Tip(document.getElementById("tip"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.palette = new Palette();
      this.pictures[0]?.renew();
    });
  }

  /** Draw the tree of a snapshot, unless it is drawn already. */
  async load(run, number) {
    if (this.run === run && this.number === number) return;
    Object.assign(this, { run, number });
    const map = await fetched(`map?run=${encodeURIComponent(run)}`);
    if (this.run !== run) return; // another one is wanted meanwhile
    const [summary] = map.summary.runs;
    const documents = map.ids.map((_, doc) => doc);
    const tree = Tree.ofCodes(summary, map.tree.runs[0], documents, map.tree.vocabulary, map.ids.length);
    this.labels = Labels.at(map.summary.level, map.tree.labels, map.tree.labelOf);
    tree.colourBy(this.labels);
    this.ids = map.ids;
    this.docOf = new Map(map.ids.map((id, doc) => [id, doc]));
    if (this.pictures.length) {
      const [picture] = this.pictures;
      const path = picture.tree.path(picture.focus).join(".");
      picture.tree = tree;
      picture.jumpTo(tree.nodeOf(path));
    } else {
      this.draw(tree);
    }
    this.light(this.wanted);
    this.figure.dataset.state = "ready";
  }

  draw(tree) {
    const canvas = make("canvas", { tabIndex: 0, role: "application", "aria-roledescription": "map of the ID tree" });
    canvas.setAttribute("aria-label", "Map of the ID tree: arrow keys move between codes, Enter opens, Backspace goes back");
    const stage = make("div", { className: "stage" }, canvas);
    this.figure.replaceChildren(stage);
    this.pictures = [new Picture(canvas, tree, this.listener())];
    this.heading = new Heading(this, 0);
    this.figure.prepend(this.heading.element);
  }

  listener() {
    return listenerOf(this, {
      opened: (_, node) => this.open(0, node),
      chosen: (_, doc) => this.page.choose(this.ids[doc]),
      back: () => this.back(),
    });
  }

  textOf(tree, id) {
    const doc = tree.order[id < 0 ? -1 - id : tree.start[id]];
    const text = this.texts.get(this.ids[doc]) ?? this.ids[doc];
    return id < 0 ? text : `${tree.code[id]}: ${tree.words[id].join(", ") || text}`;
  }

  described(tree, id) {
    if (id < 0) {
      const doc = tree.order[-1 - id];
      return [this.ids[doc], tree.idOf(doc), this.texts.get(this.ids[doc]) ?? ""].filter(Boolean);
    }
    const label = tree.topName[id] ? `${lastPart(tree.topName[id])} ${percent(tree.share[id])}` : "";
    return [tree.path(id).join(" · "), documentsIn(tree.size[id]), tree.words[id].join(", "), label].filter(Boolean);
  }

  // ---- what its heading needs

  tree() {
    return this.pictures[0].tree;
  }

  linkedTo() {
    return "";
  }

  /** Zoom to a node; what is below it gets its texts. */
  open(_, node) {
    this.pictures[0].zoomTo(node);
    this.show();
    this.nameDocuments(node);
  }

  back() {
    const [picture] = this.pictures;
    if (picture.focus !== picture.tree.settled(0)) this.open(0, picture.tree.above(picture.focus));
  }

  /** The texts of the documents of a small node. */
  async nameDocuments(node) {
    const [{ tree }] = this.pictures;
    const path = tree.path(node).join(".");
    if (!path) return;
    const found = await fetched(`tree?run=${encodeURIComponent(this.run)}&path=${path}`);
    for (const { id, text } of found.examples) this.texts.set(id, text);
    this.pictures[0].renew();
  }

  // ---- what the page tells it

  openPath(codes) {
    if (!this.pictures.length) return;
    const { tree } = this.pictures[0];
    const depth = Math.min(codes.length, tree.sizes.length); // the suffix is no node
    this.open(0, tree.nodeOf(codes.slice(0, depth).join(".")));
    this.figure.scrollIntoView({ block: "nearest" });
  }

  /** Light up documents; what came after the tree was drawn is not in it yet. */
  light(hits) {
    this.wanted = hits;
    for (const { id, text } of hits) this.texts.set(id, text);
    if (!this.pictures.length) return;
    const docs = hits.map(({ id }) => this.docOf.get(id)).filter((doc) => doc !== undefined);
    this.pictures[0].lit = docs.length ? docs : null;
    this.pictures[0].relight();
    this.show();
  }

  ring(id) {
    if (!this.pictures.length) return;
    this.pictures[0].ringed = this.docOf.get(id) ?? -1;
    this.pictures[0].paint();
  }

  show() {
    this.heading.show(this.pictures[0].lit);
    this.figure.dataset.path = this.tree().path(this.pictures[0].focus).join(".");
  }
}
