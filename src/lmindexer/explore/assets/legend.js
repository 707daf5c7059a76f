// What the colours mean, in words; a colour pressed lights up its documents.

class Legend {
  constructor(element, page) {
    Object.assign(this, { element, page });
  }

  show() {
    const { labels, state, data } = this.page;
    const { levels } = this.page.summary;
    const items = [];
    const item = (slot, name, title, count) => {
      const button = make(
        "button",
        { className: "key", title, "aria-pressed": String(state.slot === slot) },
        make("span", { className: `swatch slot-${slot}` }),
        name,
        make("span", { className: "count" }, number(count)),
      );
      button.addEventListener("click", () => data && this.page.highlight(slot));
      items.push(button);
    };
    const sizes = "One tile is a code, with its number; the cells in it are the codes that follow; area is the number of documents.";
    if (!labels.exist) {
      const ramp = make("span", { className: "ramp" });
      items.push(make("span", { className: "key" }, "1 document", ramp, "many documents"));
      if (levels) items.push(this.levelChoice());
      const why = levels ? "Colour is size" : "The documents have no labels, so colour is size";
      const text = `${why}: the stronger, the more documents. ${sizes}`;
      this.element.replaceChildren(make("div", { className: "keys" }, ...items), make("p", {}, text));
      return;
    }
    const shown = labels.names.slice(0, LABEL_COLOURS);
    const short = shown.map(lastPart);
    shown.forEach((name, slot) => {
      const unique = short.filter((other) => other === short[slot]).length === 1;
      item(slot, unique ? short[slot] : name, name, labels.counts[slot]);
    });
    if (labels.has(OTHER)) item(OTHER, "other labels", "Labels without a colour of their own", labels.other);
    if (labels.has(NONE)) item(NONE, "no label", "Documents without a label", labels.unlabelled);
    items.push(this.levelChoice());
    const text = `${sizes} Colour is the most frequent label; the fainter, the more mixed.`;
    this.element.replaceChildren(make("div", { className: "keys" }, ...items), make("p", {}, text));
  }

  levelChoice() {
    const { levels } = this.page.summary;
    const names = Array.from({ length: levels }, (_, level) => (levels > 1 ? `label level ${level + 1}` : "label"));
    const options = [...names, "size"].map((name, at) => {
      const level = at < levels ? at : -1;
      return make("option", { value: String(level), selected: level === this.page.level }, name);
    });
    const choice = make("select", { "aria-label": "What gives the colours" }, ...options);
    choice.disabled = !this.page.data;
    choice.addEventListener("change", () => {
      this.page.chooseLevel(Number(choice.value));
      this.element.querySelector("select").focus(); // the new one
    });
    return choice;
  }
}
