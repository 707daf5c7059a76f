// What is selected, in words: sizes, label mix, codes, documents.

/** The panel beside the pictures. `page` has data, state, and the verbs open, choose, search. */
class Panel {
  constructor(element, page) {
    Object.assign(this, { page, tab: "codes" });
    this.about = make("div", { id: "about" });
    this.tabs = make("div", { className: "tabs", role: "tablist" });
    this.listElement = make("div", { id: "list", className: "list" });
    element.append(this.about, this.tabs, this.listElement);
    this.list = new LongList(this.listElement, 66);
    this.tabs.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      const buttons = [...this.tabs.children];
      const step = event.key === "ArrowRight" ? 1 : buttons.length - 1;
      const next = (buttons.indexOf(document.activeElement) + step) % buttons.length;
      buttons[next].click();
      this.tabs.children[next]?.focus();
      event.preventDefault();
    });
  }

  show() {
    const { page } = this;
    const tree = page.tree(page.state.active);
    const node = page.pictures[page.state.active].focus;
    this.about.replaceChildren(
      ...[page.state.doc >= 0 ? this.document(page.state.doc) : null, ...this.node(tree, node)].filter(Boolean),
    );
    this.showTabs(tree, node);
  }

  node(tree, node) {
    const { page } = this;
    const path = tree.path(node);
    const size = tree.size[node];
    const part = path.length ? `, ${percent(size / tree.documents)} of ${number(tree.documents)}` : "";
    return [
      make("p", { className: "over" }, page.runs.length > 1 ? tree.name : path.length ? "Code" : "The whole tree"),
      make("h2", { className: "path" }, path.length ? path.join(" · ") : "All documents"),
      make("p", { id: "size" }, documentsIn(size) + part),
      tree.words[node].length
        ? make("p", { className: "words", "aria-label": "Telling words" }, ...tree.words[node].map((w) => this.word(w)))
        : null,
      page.data ? this.mix(tree, node) : null,
      page.data && page.runs.length > 1 && path.length ? this.elsewhere(tree, node) : null,
    ];
  }

  /** The lists there are of what is in view, with their names. */
  get lists() {
    const { data, state, pictures } = this.page;
    const { tree, focus } = pictures[state.active];
    const lists = new Map();
    if (state.hits) lists.set("found", `Found ${number(state.hits.length)}`);
    if (tree.children[focus]) lists.set("codes", `Codes ${number(tree.children[focus])}`);
    if (data) lists.set("documents", `Documents ${number(tree.size[focus])}`);
    return lists;
  }

  /** The list that is there unless another is asked for. */
  get usualTab() {
    return this.lists.keys().next().value;
  }

  get shownTab() {
    return this.lists.has(this.tab) ? this.tab : this.usualTab;
  }

  word(word) {
    const button = make("button", { className: "word", title: `Find “${word}”` }, word);
    button.addEventListener("click", () => this.page.search(word));
    return button;
  }

  mix(tree, node) {
    const { labels } = this.page;
    if (!labels.exist) return null;
    const sorted = tally(Array.from(tree.documentsOf(node), (doc) => labels.groupOf[doc]));
    const bars = sorted.slice(0, 6).map(([group, count]) => {
      const name = group < 0 ? "no label" : labels.names[group];
      return bar(lastPart(name), name, count, tree.size[node], `slot-${labels.slot(group)}`);
    });
    const rest = sorted.length - bars.length;
    const more = rest ? make("p", { className: "more" }, `and ${number(rest)} more labels`) : null;
    return make("div", { className: "bars", role: "group", "aria-label": "Label mix" }, ...bars, more);
  }

  /** Where the other run keeps the documents of this node. */
  elsewhere(tree, node) {
    const { page } = this;
    const other = 1 - page.state.active;
    const there = page.tree(other);
    const places = Array.from(tree.documentsOf(node), (doc) => there.placeOf[doc]).filter((place) => place >= 0);
    const known = places.length;
    const sorted = tally(places.map((place) => there.nodeAt[0][place]));
    const rows = sorted.slice(0, 3).map(([first, count]) => {
      const words = there.words[first].slice(0, 3).join(", ");
      const code = there.code[first];
      const row = bar(`${code}  ${words}`, `Open ${code} of ${there.name}`, count, known, "slot-mark");
      row.addEventListener("click", () => page.open(other, first));
      return row;
    });
    const codes = `${number(sorted.length)} first ${sorted.length === 1 ? "code" : "codes"}`;
    const missing = known < tree.size[node] ? ` (${number(tree.size[node] - known)} are not there)` : "";
    return make(
      "div",
      { className: "bars" },
      make("p", { className: "over" }, `In ${there.name} these are under ${codes}${missing}`),
      ...rows,
    );
  }

  document(doc) {
    const { page } = this;
    const close = make("button", { className: "close", "aria-label": "Close this document" }, "×");
    close.addEventListener("click", () => page.choose(-1));
    const label = page.data.labelOf[doc] < 0 ? null : page.data.labels[page.data.labelOf[doc]].join(" › ");
    return make(
      "section",
      { id: "document" },
      close,
      make("h3", { dir: "auto" }, page.data.ids[doc]),
      make("p", { dir: "auto" }, page.data.texts[doc]),
      label ? make("p", { className: "more" }, label) : null,
      ...page.runs.map((_, r) =>
        make(
          "p",
          { className: "ids" },
          page.runs.length > 1 ? `${page.tree(r).name}: ` : "ID: ",
          make("code", {}, page.tree(r).idOf(doc) || "not in this run"),
        ),
      ),
    );
  }

  showTabs(tree, node) {
    const { page } = this;
    this.tabs.replaceChildren(
      ...Array.from(this.lists, ([name, text]) => {
        const selected = name === this.shownTab;
        const button = make("button", { role: "tab", "aria-selected": String(selected), tabIndex: selected ? 0 : -1 }, text);
        button.addEventListener("click", () => {
          this.tab = name;
          this.showTabs(tree, node);
          page.address?.keep();
        });
        return button;
      }),
    );
    if (this.shownTab === "codes") this.showCodes(tree, node);
    else this.showDocuments(tree, this.shownTab === "found" ? page.state.hits : tree.documentsOf(node));
  }

  showCodes(tree, node) {
    const { page } = this;
    const first = tree.firstChild[node];
    const nodes = Array.from({ length: tree.children[node] }, (_, at) => first + at);
    nodes.sort((a, b) => tree.size[b] - tree.size[a] || a - b);
    const row = (at) => {
      const child = nodes[at];
      const name = tree.topName[child];
      const label = name ? `${lastPart(name)} ${percent(tree.share[child])}` : "";
      const words = tree.words[child].join(", ") || (page.data ? page.data.texts[tree.order[tree.start[child]]] : "");
      return [
        make("span", { className: `swatch slot-${page.labels.exist ? tree.top[child] : "size"}` }),
        make("strong", {}, String(tree.code[child])),
        make("span", { className: "right" }, number(tree.size[child])),
        make("span", { className: "text", dir: "auto" }, words),
        make("span", { className: "label" }, label),
      ];
    };
    this.list.show(nodes.length, row, (at) => page.open(page.state.active, nodes[at]), "Codes, the largest first");
  }

  showDocuments(tree, documents) {
    const { page } = this;
    const row = (at) => {
      const doc = documents[at];
      return [
        make("span", { className: `swatch slot-${page.labels.exist ? page.labels.slotOf(doc) : "size"}` }),
        make("strong", { dir: "auto" }, page.data.ids[doc]),
        make("span", { className: "right" }, tree.idOf(doc)),
        make("span", { className: "text two", dir: "auto" }, page.data.texts[doc]),
      ];
    };
    this.list.show(documents.length, row, (at) => page.choose(documents[at]), "Documents");
  }
}

function bar(name, title, count, of, slot) {
  const fill = make("span", { className: `fill ${slot}` });
  fill.style.width = `${(100 * count) / Math.max(1, of)}%`;
  return make(
    slot === "slot-mark" ? "button" : "div",
    { className: "bar", title },
    make("span", { className: "name" }, name),
    make("span", { className: "right" }, `${number(count)} · ${percent(count / Math.max(1, of))}`),
    make("span", { className: "track" }, fill),
  );
}
