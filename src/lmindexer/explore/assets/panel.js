// What is selected, in words: sizes, label mix, codes, documents. Text enters the page as text, never as HTML.

/** An element: properties, or attributes where the name has a dash or is "role"; children may be strings. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A list of any length: only the rows in sight are in the page. Arrow keys move, Enter chooses. */
class LongList {
  constructor(element, rowHeight) {
    Object.assign(this, { element, rowHeight, length: 0, active: 0 });
    this.filler = make("div", { className: "filler" });
    element.append(this.filler);
    element.setAttribute("role", "listbox");
    element.tabIndex = 0;
    element.addEventListener("scroll", () => this.draw(), { passive: true });
    element.addEventListener("focus", () => this.mark());
    element.addEventListener("blur", () => this.mark());
    element.addEventListener("keydown", (event) => this.key(event));
    element.addEventListener("click", (event) => {
      const row = event.target.closest("[role=option]");
      if (row) this.choose(Number(row.dataset.at));
    });
    new ResizeObserver(() => this.draw()).observe(element);
  }

  /** `row(at)` gives the children of a row, `chosen(at)` is told which one the user took. */
  show(length, row, chosen, label) {
    Object.assign(this, { length, row, chosen, active: 0 });
    this.element.setAttribute("aria-label", label);
    this.filler.style.height = `${length * this.rowHeight}px`;
    this.element.scrollTop = 0;
    this.draw();
  }

  draw() {
    if (!this.row) return;
    const { element, rowHeight, length } = this;
    const first = Math.max(0, Math.floor(element.scrollTop / rowHeight) - 3);
    const last = Math.min(length, Math.ceil((element.scrollTop + element.clientHeight) / rowHeight) + 3);
    const rows = [];
    for (let at = first; at < last; at++) {
      const row = make("div", { role: "option", id: `${element.id}-${at}`, className: "row" }, ...this.row(at));
      row.dataset.at = at;
      row.style.top = `${at * rowHeight}px`;
      row.style.height = `${rowHeight}px`;
      row.setAttribute("aria-setsize", length);
      row.setAttribute("aria-posinset", at + 1);
      rows.push(row);
    }
    this.filler.replaceChildren(...rows);
    this.mark();
  }

  /** Show which row is active. The rows stay: a click whose row was replaced while it lasted would be lost. */
  mark() {
    const { element, length } = this;
    const focused = document.activeElement === element && element.matches(":focus-visible");
    for (const row of this.filler.children) {
      row.setAttribute("aria-selected", String(focused && Number(row.dataset.at) === this.active));
    }
    if (length) element.setAttribute("aria-activedescendant", `${element.id}-${this.active}`);
    else element.removeAttribute("aria-activedescendant");
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.rowHeight) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key === "Enter" && this.length) this.choose(this.active);
    else if (event.key in steps) {
      this.active = Math.max(0, Math.min(this.length - 1, this.active + steps[event.key]));
      const top = this.active * this.rowHeight;
      const { scrollTop, clientHeight } = this.element;
      if (top < scrollTop) this.element.scrollTop = top;
      else if (top + this.rowHeight > scrollTop + clientHeight) this.element.scrollTop = top + this.rowHeight - clientHeight;
      this.draw();
    } else return;
    event.preventDefault();
  }

  choose(at) {
    this.active = at;
    this.chosen(at);
  }
}

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
    const counted = `${number(size)} ${size === 1 ? "document" : "documents"}`;
    const part = path.length ? `, ${percent(size / tree.documents)} of ${number(tree.documents)}` : "";
    return [
      make("p", { className: "over" }, page.runs.length > 1 ? tree.name : path.length ? "Code" : "The whole tree"),
      make("h2", { className: "path" }, path.length ? path.join(" · ") : "All documents"),
      make("p", { id: "size" }, counted + part),
      tree.words[node].length
        ? make("p", { className: "words", "aria-label": "Telling words" }, ...tree.words[node].map((w) => this.word(w)))
        : null,
      page.data ? this.mix(tree, node) : null,
      page.data && page.runs.length > 1 && path.length ? this.elsewhere(tree, node) : null,
    ];
  }

  word(word) {
    const button = make("button", { className: "word", title: `Find “${word}”` }, word);
    button.addEventListener("click", () => this.page.search(word));
    return button;
  }

  mix(tree, node) {
    const { labels } = this.page;
    if (!labels.exist) return null;
    const counts = new Map();
    for (const doc of tree.documentsOf(node)) {
      counts.set(labels.groupOf[doc], (counts.get(labels.groupOf[doc]) ?? 0) + 1);
    }
    const sorted = [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
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
    const counts = new Map();
    let known = 0;
    for (const doc of tree.documentsOf(node)) {
      const place = there.placeOf[doc];
      if (place < 0) continue;
      known++;
      const code = there.nodeAt[0][place];
      counts.set(code, (counts.get(code) ?? 0) + 1);
    }
    const sorted = [...counts].sort((a, b) => b[1] - a[1]);
    const rows = sorted.slice(0, 3).map(([code, count]) => {
      const words = there.words[code].slice(0, 3).join(", ");
      const row = bar(`${there.code[code]}  ${words}`, `Open ${there.code[code]} of ${there.name}`, count, known, "slot-mark");
      row.addEventListener("click", () => page.open(other, code));
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
    const hits = page.state.hits;
    const names = {};
    if (hits) names.found = `Found ${number(hits.length)}`;
    if (tree.children[node]) names.codes = `Codes ${number(tree.children[node])}`;
    if (page.data) names.documents = `Documents ${number(tree.size[node])}`;
    if (!(this.tab in names)) this.tab = Object.keys(names)[names.found || !names.codes ? 0 : Object.keys(names).indexOf("codes")];
    this.tabs.replaceChildren(
      ...Object.entries(names).map(([name, text]) => {
        const selected = name === this.tab;
        const button = make("button", { role: "tab", "aria-selected": String(selected), tabIndex: selected ? 0 : -1 }, text);
        button.addEventListener("click", () => {
          this.tab = name;
          this.showTabs(tree, node);
        });
        return button;
      }),
    );
    if (this.tab === "codes") this.showCodes(tree, node);
    else this.showDocuments(tree, this.tab === "found" ? hits : tree.documentsOf(node));
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
