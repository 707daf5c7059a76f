// What the pointer is on, beside the pointer.

class Tip {
  constructor(element) {
    this.element = element;
  }

  hide() {
    this.element.hidden = true;
  }

  /** `lines` tell of a tile, `within` of the cell in it; none where the tile has no cell here. */
  show(lines, within, event) {
    const { element } = this;
    element.hidden = false;
    const [first, ...rest] = within;
    element.replaceChildren(
      make("strong", {}, lines[0]),
      ...lines.slice(1).map((line) => make("span", { dir: "auto" }, line)),
      ...(first ? [make("strong", { className: "within" }, first)] : []),
      ...rest.map((line) => make("span", { dir: "auto" }, line)),
    );
    const { offsetWidth, offsetHeight } = element;
    const left = event.clientX + 16 + offsetWidth > innerWidth ? event.clientX - 12 - offsetWidth : event.clientX + 16;
    const top = Math.min(event.clientY + 16, innerHeight - offsetHeight - 8);
    element.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
  }
}

/** What a picture asks and tells, answered by a page with palette, labels, tip, textOf and described; `verbs` act. */
function listenerOf(page, verbs) {
  const lines = (picture, { id }) => page.described(picture.tree, id);
  return {
    get palette() {
      return page.palette;
    },
    slotOf: (doc) => page.labels.slotOf(doc),
    styleOf: (tree, id) => styleIn(tree, page.labels, id),
    textOf: (tree, id) => page.textOf(tree, id),
    hovered: (picture, found, event) => {
      if (!found) return page.tip.hide();
      return page.tip.show(lines(picture, found.tile), found.cell ? lines(picture, found.cell) : [], event);
    },
    spoken: (picture, tile) => {
      document.getElementById("spoken").textContent = lines(picture, tile).join(", ");
    },
    ...verbs,
  };
}
