// A layout put on a canvas: the colours of nodes, words where they fit, what is lit.

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';

const DOTS_UNDER_A_CODE = 8; // of so many in a tile its code may hide one

/** The colours of page.css for the scheme in use, as fills by label and strength. */
class Palette {
  constructor() {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    this.paper = read("--paper");
    this.ink = read("--ink");
    this.mark = read("--mark");
    const mixed = rgb(read("--mixed"));
    this.fills = [];
    this.inks = [];
    const slots = [...Array.from({ length: LABEL_COLOURS }, (_, at) => `--label-${at}`), "--other", "--none"];
    for (const name of slots) {
      const pure = rgb(read(name));
      for (let step = 0; step < STEPS; step++) {
        const strength = name === "--none" ? 1 : 0.1 + (0.9 * step) / (STEPS - 1);
        const colour = mixed.map((from, at) => Math.round(from + strength * (pure[at] - from)));
        this.fills.push(`rgb(${colour})`);
        this.inks.push(contrast(colour, WHITE) >= 3.2 ? "#ffffff" : "#15171c");
      }
    }
  }
}

const WHITE = [255, 255, 255];

/** How well one colour is read on another, from 1 to 21 (WCAG 2). */
function contrast(one, other) {
  const luminance = (colour) => {
    const [red, green, blue] = colour.map((part) => {
      const c = part / 255;
      return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

/** The fill of a node, or of the document of place -1 - id: its most frequent label by its share, or else its size. */
function styleIn(tree, labels, id) {
  if (!labels.exist) {
    if (id < 0) return 0;
    return Math.round((Math.log(tree.size[id]) / Math.log(Math.max(2, tree.largest[tree.depth[id]]))) * (STEPS - 1));
  }
  if (id < 0) return labels.slotOf(tree.order[-1 - id]) * STEPS + STEPS - 1;
  return tree.top[id] * STEPS + Math.round(tree.share[id] * (STEPS - 1));
}

/** Draws one layout; `listener` says what has which colour and text. */
class Drawing {
  constructor(tree, layout, listener) {
    Object.assign(this, { tree, layout, listener, width: layout.width, height: layout.height });
  }

  drawTiles(context) {
    const { palette, styleOf } = this.listener;
    context.fillStyle = palette.paper;
    context.fillRect(0, 0, this.width, this.height);
    const byStyle = new Map(); // one change of colour a style, not one a cell
    for (const tile of this.layout.tiles) {
      const style = styleOf(this.tree, tile.id);
      const w = Math.max(0.4, tile.w - 2 * GAP);
      const h = Math.max(0.4, tile.h - 2 * GAP);
      context.fillStyle = palette.fills[style];
      context.globalAlpha = tile.cells.length ? 0.55 : 1; // seen between the cells
      context.fillRect(tile.x + GAP, tile.y + GAP, w, h);
      context.globalAlpha = 1;
      if (tile.band) context.fillRect(tile.x + GAP, tile.y + GAP, w, tile.band);
      for (const cell of tile.cells) {
        const own = styleOf(this.tree, cell.id);
        if (!byStyle.has(own)) byStyle.set(own, []);
        byStyle.get(own).push(cell);
      }
    }
    for (const [style, cells] of byStyle) {
      context.fillStyle = palette.fills[style];
      for (const { x, y, w, h } of cells) {
        const gap = w > 60 && h > 24 ? 1.5 : w > 4 && h > 4 ? 0.5 : 0;
        context.fillRect(x + gap / 2, y + gap / 2, Math.max(0.3, w - gap), Math.max(0.3, h - gap));
      }
    }
  }

  /** The words on a tile and its cells; `washed` where all colours are pale. */
  writeTile(context, tile, washed = false) {
    const { palette, styleOf, textOf } = this.listener;
    const inkOn = ({ id }) => (washed ? palette.ink : palette.inks[styleOf(this.tree, id)]);
    if (tile.id < 0) return this.writeText(context, tile, textOf(this.tree, tile.id), inkOn(tile));
    const words = this.tree.words[tile.id];
    const code = String(this.tree.code[tile.id]);
    context.textBaseline = "top";
    if (tile.band) {
      context.fillStyle = inkOn(tile);
      context.font = `700 12px ${FONT}`;
      context.fillText(code, tile.x + 6, tile.y + 4);
      const from = 12 + context.measureText(code).width;
      context.font = `400 12px ${FONT}`;
      context.fillText(fitting(context, words.join(", "), tile.w - from - 6), tile.x + from, tile.y + 4);
      for (const cell of tile.cells) this.writeText(context, cell, textOf(this.tree, cell.id), inkOn(cell));
    } else if (!words.length && tile.cells.length === 1 && isRoomy(tile.cells[0])) {
      const [cell] = tile.cells;
      this.writeText(context, cell, `${code}: ${textOf(this.tree, cell.id)}`, inkOn(cell));
    } else {
      this.writeWithHalo(context, this.wordsOf(context, tile));
    }
    return undefined;
  }

  /** What is written on a small tile: its code, then the strongest of its words which fit, one a line. */
  wordsOf(context, tile) {
    const code = String(this.tree.code[tile.id]);
    const room = tile.w - 6;
    const width = (word, weight, size) => {
      context.font = `${weight} ${size}px ${FONT}`;
      return context.measureText(word).width;
    };
    if (tile.h < 13 || width(code, 400, 9) > room) return [];
    const [head, ...others] = this.tree.words[tile.id].filter((word) => width(word, 600, 9) <= room);
    const most = Math.min(14, tile.h - 4, 8 + tile.h / 12);
    const sizes = [14, 13, 12, 11, 10, 9].filter((size) => size <= most);
    const beside = (size) => width(code, 400, size) + 5 + width(head, 600, size) <= room;
    const together = head && sizes.find((size) => (size > 10 || tile.h < 32) && beside(size));
    const size = together ?? sizes.find((points) => width(head ?? code, 600, points) <= room) ?? 9;
    const small = Math.min(size, 12);
    const lines = [{ text: code, weight: 400, size: together ?? small, indent: 0, line: 0 }];
    if (together) lines.push({ text: head, weight: 600, size, indent: width(code, 400, size) + 5, line: 0 });
    else if (head) lines.push({ text: head, weight: 600, size, indent: 0, line: 1 });
    const fits = others.filter((word) => width(word, 400, small) <= room);
    for (const text of fits) lines.push({ text, weight: 400, size: small, indent: 0, line: lines.at(-1).line + 1 });
    const end = Math.min(4, Math.floor((tile.h - 4) / (size + 2)));
    return lines
      .filter(({ line }) => line < end)
      .map((part) => ({ ...part, x: tile.x + 4 + part.indent, y: tile.y + 3 + part.line * (size + 2) }));
  }

  /** The cells below may have any colours: so in the ink of the page, on a halo of its paper. */
  writeWithHalo(context, parts) {
    const { palette } = this.listener;
    context.textBaseline = "top";
    context.lineJoin = "round";
    context.lineWidth = 3;
    context.strokeStyle = palette.paper;
    context.fillStyle = palette.ink;
    for (const { text, weight, size, x, y } of parts) {
      context.font = `${weight} ${size}px ${FONT}`;
      context.strokeText(text, x, y);
      context.fillText(text, x, y);
    }
  }

  /** Words of a cell or the beginning of a document's text, wrapped into its box. */
  writeText(context, box, text, ink) {
    if (!isRoomy(box) || !text) return;
    const size = box.w > 300 && box.h > 120 ? 17 : box.w > 180 && box.h > 70 ? 13 : 11;
    context.font = `${size}px ${FONT}`;
    context.textBaseline = "top";
    context.fillStyle = ink;
    const most = Math.floor((box.h - 6) / (size + 3));
    wrapped(context, text, box.w - 10, most).forEach((line, at) => {
      context.fillText(line, box.x + 5, box.y + 4 + at * (size + 3));
    });
  }

  /**
   * All but the lit documents goes pale; they keep their colour where there is room, and are dots elsewhere. `base` is
   * the picture as it is when nothing is lit.
   */
  drawLit(context, lit, base) {
    const { palette } = this.listener;
    context.globalAlpha = 0.74;
    context.fillStyle = palette.paper;
    context.fillRect(0, 0, this.width, this.height);
    context.globalAlpha = 1;
    const boxes = [];
    for (const doc of lit) {
      const box = this.layout.boxOfPlace(this.tree.placeOf[doc]);
      if (box) boxes.push({ doc, ...box });
    }
    const small = boxes.filter((box) => !isRoomy(box));
    const few = small.length <= 400;
    if (!few) this.drawMany(context, small);
    context.globalAlpha = 0.75;
    for (const tile of this.layout.tiles) this.writeTile(context, tile, true);
    context.globalAlpha = 1;
    const scale = base.width / this.width;
    for (const { x, y, w, h } of boxes.filter(isRoomy)) {
      context.drawImage(base, x * scale, y * scale, w * scale, h * scale, x, y, w, h);
      context.strokeStyle = palette.mark;
      context.lineWidth = 2;
      context.strokeRect(x + 2, y + 2, w - 4, h - 4);
    }
    if (!few) return;
    const radius = (box) => Math.max(3, Math.min(6, 0.3 * Math.min(box.w, box.h)));
    context.fillStyle = palette.paper;
    for (const box of small) disc(context, box, radius(box) + 1.5);
    context.fillStyle = palette.mark;
    for (const box of small) disc(context, box, radius(box));
    for (const [id, dots] of tally(small.map((box) => this.layout.tileOfPlace(this.tree.placeOf[box.doc]).id))) {
      const tile = this.layout.tileOfNode.get(id);
      if (dots > DOTS_UNDER_A_CODE && !tile.band) this.writeWithHalo(context, this.wordsOf(context, tile).slice(0, 1));
    }
  }

  /** Too many for dots: each fills its place in the colour of its label, at least two pixels of it. */
  drawMany(context, boxes) {
    const { palette, slotOf } = this.listener;
    const bySlot = new Map();
    for (const box of boxes) {
      const slot = slotOf(box.doc);
      if (!bySlot.has(slot)) bySlot.set(slot, []);
      bySlot.get(slot).push(box);
    }
    for (const [slot, own] of bySlot) {
      context.fillStyle = slot < OTHER ? palette.fills[slot * STEPS + STEPS - 1] : palette.mark;
      for (const { x, y, w, h } of own) {
        const [wide, high] = [Math.max(2, w - 0.5), Math.max(2, h - 0.5)];
        context.fillRect(x + (w - wide) / 2, y + (h - high) / 2, wide, high);
      }
    }
  }
}

/** Is there room for words in the box? */
const isRoomy = (box) => box.w >= 44 && box.h >= 18;

function disc(context, box, radius) {
  context.beginPath();
  context.arc(box.x + box.w / 2, box.y + box.h / 2, radius, 0, 2 * Math.PI);
  context.fill();
}

/** The text, or as much of it as fits, with a sign that there is more. */
function fitting(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let [fits, not] = [0, text.length];
  while (not - fits > 1) {
    const middle = (fits + not) >> 1;
    if (context.measureText(`${text.slice(0, middle)}…`).width <= width) fits = middle;
    else not = middle;
  }
  return fits ? `${text.slice(0, fits).trimEnd()}…` : "";
}

function wrapped(context, text, width, most) {
  const lines = [];
  let line = "";
  const words = text.split(" ");
  for (let at = 0; at < words.length && lines.length < most; at++) {
    const longer = line ? `${line} ${words[at]}` : words[at];
    if (!line || context.measureText(longer).width <= width) {
      line = longer;
    } else if (lines.length === most - 1) {
      line = `${longer} ${words.slice(at + 1, at + 4).join(" ")}`; // fitting() cuts it
      break;
    } else {
      lines.push(fitting(context, line, width));
      line = words[at];
    }
  }
  if (line && lines.length < most) lines.push(fitting(context, line, width));
  return lines;
}
