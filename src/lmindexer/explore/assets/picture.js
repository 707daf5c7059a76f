// One run as a picture on a canvas: zooming, pointing, the keyboard.

const ZOOM_MILLISECONDS = 420;
const still = matchMedia("(prefers-reduced-motion: reduce)");

class Picture {
  /** `listener`: what the page answers (palette, styleOf, textOf, ...) and is told (opened, chosen, ...). */
  constructor(canvas, tree, listener) {
    Object.assign(this, { canvas, tree, listener });
    this.context = canvas.getContext("2d");
    this.focus = 0; // until there are documents, the page shows the first codes
    this.lit = null; // documents, or null where nothing is searched or compared
    this.ringed = -1; // one document
    this.hovered = null;
    this.cursor = 0; // the tile of the keyboard
    this.animation = 0;
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement);
    canvas.addEventListener("pointermove", (event) => event.pointerType !== "touch" && this.point(event));
    canvas.addEventListener("pointerleave", () => this.leave());
    canvas.addEventListener("click", (event) => this.click(event));
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("focus", () => this.paint());
    canvas.addEventListener("blur", () => this.paint());
    this.resize();
  }

  resize() {
    const { clientWidth, clientHeight } = this.canvas.parentElement;
    if (!clientWidth || !clientHeight || (clientWidth === this.width && clientHeight === this.height)) return;
    this.width = clientWidth;
    this.height = clientHeight;
    this.renew();
  }

  /** Draw everything anew: other size, colours or tree. */
  renew() {
    cancelAnimationFrame(this.animation);
    this.animation = 0;
    const scale = window.devicePixelRatio || 1;
    if (!this.width) return;
    if (this.canvas.width !== Math.round(this.width * scale) || this.canvas.height !== Math.round(this.height * scale)) {
      this.canvas.width = Math.round(this.width * scale);
      this.canvas.height = Math.round(this.height * scale);
    }
    this.layout = new Layout(this.tree, this.focus, this.width, this.height);
    this.drawing = new Drawing(this.tree, this.layout, this.listener);
    this.plain = this.sheet((context) => this.drawing.drawTiles(context));
    this.base = this.sheet((context) => {
      context.drawImage(this.plain, 0, 0, this.width, this.height);
      for (const tile of this.layout.tiles) this.drawing.writeTile(context, tile);
    });
    this.relight();
  }

  /** Only what is lit has changed. */
  relight() {
    if (!this.base) return;
    this.frame = this.lit
      ? this.sheet((context) => {
          context.drawImage(this.plain, 0, 0, this.width, this.height);
          this.drawing.drawLit(context, this.lit, this.base);
        })
      : this.base;
    if (!this.animation) this.paint();
  }

  sheet(draw) {
    const sheet = document.createElement("canvas");
    sheet.width = this.canvas.width;
    sheet.height = this.canvas.height;
    const context = sheet.getContext("2d");
    context.scale(sheet.width / this.width, sheet.height / this.height);
    draw(context);
    return sheet;
  }

  // ---- drawing

  paint() {
    if (!this.frame) return;
    const { context, listener } = this;
    this.scaled();
    context.drawImage(this.frame, 0, 0, this.width, this.height);
    if (this.ringed >= 0) {
      const box = this.layout.boxOfPlace(this.tree.placeOf[this.ringed]);
      if (box && isRoomy(box)) this.outline(box, 4, listener.palette.mark);
      else if (box) this.ring(box);
    }
    if (document.activeElement === this.canvas && this.canvas.matches(":focus-visible")) {
      this.outline(this.layout.tiles[this.cursor], 3, listener.palette.ink);
    }
    if (this.hovered) {
      this.outline(this.hovered.tile, 2, listener.palette.ink);
      if (this.hovered.cell) this.outline(this.hovered.cell, 1.5, listener.palette.ink);
    }
  }

  scaled() {
    const { context, canvas } = this;
    context.setTransform(canvas.width / this.width, 0, 0, canvas.height / this.height, 0, 0);
    context.globalAlpha = 1;
  }

  outline(box, thick, colour) {
    if (!box) return;
    const { context } = this;
    const rectangle = () =>
      context.strokeRect(
        box.x + thick / 2,
        box.y + thick / 2,
        Math.max(1, box.w - thick),
        Math.max(1, box.h - thick),
      );
    context.lineJoin = "miter";
    context.strokeStyle = this.listener.palette.paper;
    context.lineWidth = thick + 2;
    rectangle();
    context.strokeStyle = colour;
    context.lineWidth = thick;
    rectangle();
  }

  ring(box) {
    const { context } = this;
    const { palette } = this.listener;
    const radius = Math.max(8, Math.min(16, 0.5 * Math.min(box.w, box.h)));
    for (const [thick, colour] of [[6, palette.paper], [3, palette.mark]]) {
      context.beginPath();
      context.arc(box.x + box.w / 2, box.y + box.h / 2, radius, 0, 2 * Math.PI);
      context.lineWidth = thick;
      context.strokeStyle = colour;
      context.stroke();
    }
  }

  // ---- zooming

  /** Show `node` at once. */
  jumpTo(node) {
    this.focus = this.tree.settled(node);
    this.hovered = null;
    this.cursor = 0;
    this.renew();
  }

  /** Show `node`: two ready pictures are scaled over each other, so a frame costs the same for any corpus. */
  zoomTo(node) {
    node = this.tree.settled(node);
    if (node === this.focus || !this.base) return this.jumpTo(node);
    const before = { frame: this.frame, layout: this.layout };
    const inwards = this.tree.depth[node] > this.tree.depth[this.focus];
    this.jumpTo(node);
    if (still.matches) return undefined;
    const [outer, inner] = inwards ? [before, this] : [this, before];
    const box = outer.layout.boxOfNode(inner.layout.focus);
    if (!box || !this.tree.holds(outer.layout.focus, this.tree.start[inner.layout.focus])) return undefined;
    const target = { x: box.x, y: box.y, w: Math.max(box.w, 2), h: Math.max(box.h, 2) };
    const [far, near] = [outer.frame, inner.frame];
    const begin = performance.now();
    const step = (now) => {
      const time = Math.min(1, Math.max(0, (now - begin) / ZOOM_MILLISECONDS));
      this.animation = time < 1 ? requestAnimationFrame(step) : 0;
      if (time < 1) this.blend(far, near, target, inwards ? eased(time) : 1 - eased(time));
      else this.paint();
    };
    this.blend(far, near, target, inwards ? 0 : 1);
    this.animation = requestAnimationFrame(step);
    return undefined;
  }

  /** `inner` grows out of the `box` of `outer`: at 0 all of the outer picture, at 1 all of the inner. */
  blend(outer, inner, box, at) {
    const { context, width, height } = this;
    const view = {
      x: box.x * at,
      y: box.y * at,
      w: width + (box.w - width) * at,
      h: height + (box.h - height) * at,
    };
    const across = width / view.w;
    const down = height / view.h;
    this.scaled();
    const crop = outer.width / width;
    context.drawImage(outer, view.x * crop, view.y * crop, view.w * crop, view.h * crop, 0, 0, width, height);
    context.globalAlpha = Math.min(1, 1.4 * at);
    context.drawImage(inner, (box.x - view.x) * across, (box.y - view.y) * down, box.w * across, box.h * down);
    context.globalAlpha = 1;
  }

  // ---- pointing and the keyboard

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left;
    const y = event.clientY - box.top;
    const tile = this.layout?.tileAt(x, y);
    return tile && { tile, cell: tile.cells.find((cell) => inside(cell, x, y)) };
  }

  point(event) {
    if (this.animation) return;
    const found = this.at(event);
    if (found?.tile !== this.hovered?.tile || found?.cell !== this.hovered?.cell) {
      this.hovered = found;
      this.paint();
    }
    this.listener.hovered(this, found, event);
  }

  leave() {
    this.hovered = null;
    this.listener.hovered(this, null);
    if (!this.animation) this.paint();
  }

  click(event) {
    const found = this.at(event);
    this.leave();
    if (found) this.enter(found.tile, found.cell);
  }

  /** Go one step down: into a tile, or to a document where there are no deeper codes. */
  enter(tile, cell) {
    const { tree, listener } = this;
    if (!tree.order) return;
    const isDocument = (box) => box && box.id < 0;
    if (isDocument(tile)) listener.chosen(this, tree.order[-1 - tile.id]);
    else if (isDocument(cell) && tile.size === 1) listener.chosen(this, tree.order[-1 - cell.id]);
    else listener.opened(this, tile.id);
  }

  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const tiles = this.layout?.tiles ?? [];
    if (event.key in steps) this.cursor = nextTile(tiles, this.cursor, ...steps[event.key]);
    else if (event.key === "Home") this.cursor = 0;
    else if (event.key === "Enter" || event.key === " ") this.enter(tiles[this.cursor], tiles[this.cursor].cells[0]);
    else if (event.key === "Backspace") this.listener.back(this);
    else return;
    event.preventDefault();
    this.listener.spoken(this, this.layout.tiles[this.cursor]);
    if (!this.animation) this.paint();
  }
}

/** The tile which is nearest in a direction; the same one at the edge. */
function nextTile(tiles, from, across, down) {
  const middle = (tile) => [tile.x + tile.w / 2, tile.y + tile.h / 2];
  const [x, y] = middle(tiles[from]);
  let best = from;
  let least = Infinity;
  tiles.forEach((tile, at) => {
    const [tx, ty] = middle(tile);
    const ahead = (tx - x) * across + (ty - y) * down;
    const aside = Math.abs((tx - x) * down) + Math.abs((ty - y) * across);
    if (at !== from && ahead > 1 && ahead + 2 * aside < least) {
      least = ahead + 2 * aside;
      best = at;
    }
  });
  return best;
}

const eased = (time) => (time < 0.5 ? 4 * time ** 3 : 1 - (2 - 2 * time) ** 3 / 2);
