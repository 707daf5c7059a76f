// Lists of any length.

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
