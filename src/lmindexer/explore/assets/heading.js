// Above a picture: the path to what it shows, and where the marked documents are.

const PLACES_NAMED = 5; // codes; more than one other are counted only

class Heading {
  constructor(page, r) {
    Object.assign(this, { page, r });
    this.crumbs = make("nav", { className: "crumbs", "aria-label": `Path in ${page.tree(r).name}` });
    this.where = make("p", { className: "where", "aria-live": "polite" });
    this.element = make("figcaption", {}, this.crumbs, this.where);
  }

  /** `lit` has the marked documents, null where none are. */
  show(lit) {
    const { tree, focus } = this.page.pictures[this.r];
    this.showCrumbs(tree, focus);
    const found = lit && tree.whereabouts(focus, lit);
    this.where.dataset.lit = found ? found.here : "";
    this.where.replaceChildren(...(found ? this.places(tree, focus, found) : [`${documentsIn(tree.size[focus])} in view`]));
  }

  showCrumbs(tree, focus) {
    const { page, r } = this;
    const path = tree.path(focus);
    const nodes = tree.way(focus);
    const links = [this.link(tree.name, 0)];
    nodes.forEach((node, at) => links.push(make("span", { "aria-hidden": "true" }, "›"), this.link(String(path[at]), node)));
    links.at(-1).setAttribute("aria-current", "page");
    const back = make("button", { className: "back", "aria-label": "Back", disabled: focus === tree.settled(0) }, "←");
    back.addEventListener("click", () => this.leave(() => page.back(r)));
    this.crumbs.replaceChildren(back, ...links);
  }

  /** "3 here, 12 elsewhere: 201 (7), 17 (5)", each code a way to go there; of the whole tree the codes in it. */
  places(tree, focus, { here, inside, elsewhere, absent }) {
    const whole = focus === tree.settled(0);
    const codes = whole ? inside : elsewhere;
    const source = this.page.linkedTo(this.r);
    const outside = number(elsewhere.reduce((sum, [, count]) => sum + count, 0));
    const parts = [source ? `Of ${source}: ` : "", `${number(here)} here`, whole ? "" : `, ${outside} elsewhere`];
    const named = codes.length === PLACES_NAMED + 1 ? codes.length : PLACES_NAMED;
    codes.slice(0, named).forEach(([node, count], at) => {
      const path = tree.path(node).join(" · ");
      parts.push(at ? ", " : ": ", this.link(`${path} (${number(count)})`, node, `Go to the ${number(count)} in ${path}`));
    });
    if (codes.length > named) {
      const text = `${number(codes.length - named)} more codes`;
      parts.push(" and ", whole ? text : this.link(text, 0, "Show all of them in the whole tree"));
    }
    if (absent) parts.push(`; ${number(absent)} not in this run`);
    return parts;
  }

  link(text, node, title = "") {
    const { page, r } = this;
    const button = make("button", title ? { title } : {}, text);
    // the marked documents are looked for still, so the panel keeps its list
    button.addEventListener("click", () => this.leave(() => page.open(r, node, title ? page.panel.tab : undefined)));
    return button;
  }

  /** The button that was pressed is gone afterwards; the keyboard goes on in the picture. */
  leave(act) {
    act();
    this.page.pictures[this.r].canvas.focus({ preventScroll: true });
  }
}
