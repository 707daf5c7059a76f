// The view in the address, behind its "#": a link and the browser's back button bring it again.

class Address {
  constructor(page) {
    this.page = page;
    this.kept = new URLSearchParams();
    addEventListener("hashchange", () => this.restore());
  }

  /** Only what differs from the page as it opens: #path=3.5&query=shampoo. */
  get fields() {
    const { state, pictures, panel, data, level, summary } = this.page;
    const fields = new URLSearchParams();
    const paths = pictures.map(({ tree, focus }) => (focus === tree.settled(0) ? "" : tree.path(focus).join(".")));
    if (paths.some(Boolean)) for (const path of paths) fields.append("path", path);
    if (state.active) fields.set("run", state.active + 1);
    if (state.query) fields.set("query", state.query);
    if (state.doc >= 0) fields.set("document", data.ids[state.doc]);
    if (level !== summary.level) fields.set("level", level < 0 ? "size" : level + 1);
    if (state.slot >= 0) fields.set("colour", state.slot + 1);
    if (panel.shownTab !== panel.usualTab) fields.set("list", panel.shownTab);
    return fields;
  }

  /** Called after every change. A step of the history is a change of more than the words being typed, or the list. */
  keep() {
    const { fields } = this;
    const step = (all) => {
      const kept = new URLSearchParams(all);
      kept.delete("list");
      if (kept.has("query")) kept.set("query", "");
      return kept.toString();
    };
    if (step(fields) !== step(this.kept)) this.write(fields, "pushState");
    else if (fields.toString() !== this.kept.toString()) this.write(fields, "replaceState");
  }

  write(fields, how) {
    this.kept = fields;
    const text = fields.toString();
    history[how](null, "", text ? `#${text}` : location.href.split("#")[0]);
  }

  /** Show what the address names; what it names wrongly is as when the page opens. */
  restore(moving = true) {
    const { page } = this;
    const { runs, summary, data } = page;
    const fields = new URLSearchParams(location.hash.slice(1));
    const counted = (name, most) => {
      const text = fields.get(name) ?? "";
      return /^[1-9]\d*$/.test(text) && Number(text) <= most ? Number(text) - 1 : -1;
    };
    const paths = fields.getAll("path");
    const level = counted("level", summary.levels);
    const usual = fields.get("level") === "size" ? -1 : summary.level;
    const view = {
      nodes: runs.map((tree, r) => tree.nodeOf(paths[r] ?? "")),
      active: Math.max(0, counted("run", runs.length)),
      query: fields.get("query") ?? "",
      doc: data.ids.indexOf(fields.get("document")),
      level: level < 0 ? usual : level,
      slot: counted("colour", NONE + 1),
      tab: fields.get("list"),
    };
    page.restore(view, moving);
    this.write(this.fields, "replaceState");
  }
}
