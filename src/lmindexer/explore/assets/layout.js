// Where everything lies: a squarified treemap (Bruls, Huizing and van Wijk 2000) of two levels below a node.

const GAP = 1; // pixels around a tile
const ROOMY = 2400; // square pixels for a cell in which words can be read
const BAND = 19; // height of the line on top of a large tile: its code and words

/** Give each of `items` (size, the largest first) a part x, y, w, h of the rectangle, as square as may be. */
function squarify(items, x, y, w, h) {
  let rest = items.reduce((sum, item) => sum + item.size, 0);
  for (let at = 0; at < items.length; ) {
    const side = Math.max(Math.min(w, h), 1e-6);
    const scale = (w * h) / rest;
    let end = at;
    let sum = 0;
    let worst = Infinity;
    while (end < items.length) {
      const area = (sum + items[end].size) * scale;
      const ratio = Math.max(
        (side * side * items[at].size * scale) / (area * area),
        (area * area) / (side * side * items[end].size * scale),
      );
      if (ratio > worst) break;
      worst = ratio;
      sum += items[end++].size;
    }
    if (end === at) sum = items[end++].size; // a rectangle without any area
    const thick = Math.min((sum * scale) / side, Math.max(w, h));
    for (let along = 0; at < end; at++) {
      const part = (items[at].size / sum) * side;
      if (w >= h) Object.assign(items[at], { x, y: y + along, w: thick, h: part });
      else Object.assign(items[at], { x: x + along, y, w: part, h: thick });
      along += part;
    }
    if (w >= h) (x += thick), (w -= thick);
    else (y += thick), (h -= thick);
    rest -= sum;
  }
}

/** The same, with items of one colour lying together: the mix of labels can be seen as areas. */
function squarifyByColour(items, slotOf, x, y, w, h) {
  const groups = new Map();
  for (const item of items.sort((a, b) => b.size - a.size)) {
    const slot = slotOf(item.id);
    if (!groups.has(slot)) groups.set(slot, { size: 0, items: [] });
    groups.get(slot).size += item.size;
    groups.get(slot).items.push(item);
  }
  const inOrder = [...groups.values()].sort((a, b) => b.size - a.size);
  squarify(inOrder, x, y, w, h);
  for (const group of inOrder) squarify(group.items, group.x, group.y, group.w, group.h);
}

/** The part of `box` which belongs to the document number `at` of the n that share it. */
function slotBox(box, n, at) {
  const columns = Math.min(n, Math.max(1, Math.round(Math.sqrt((n * box.w) / Math.max(box.h, 1e-6)))));
  const rows = Math.ceil(n / columns);
  const row = Math.floor(at / columns);
  const inRow = row < rows - 1 ? columns : n - columns * (rows - 1);
  const w = box.w / inRow;
  const h = box.h / rows;
  return { x: box.x + (at - row * columns) * w, y: box.y + row * h, w, h };
}

/**
 * The picture of a node: tiles are its children, cells the children of those; documents where there are no
 * deeper codes. An `id` is a node, or -1 - place for the document of a place.
 */
class Layout {
  constructor(tree, focus, width, height) {
    Object.assign(this, { tree, focus, width, height, tiles: [], tileOfNode: new Map(), cellOfNode: new Map() });
    this.whole = { x: 0, y: 0, w: width, h: height };
    if (tree.isLeaf(focus)) {
      for (let at = 0; at < tree.size[focus]; at++) {
        const place = tree.start[focus] + at;
        this.tiles.push({ id: -1 - place, size: 1, cells: [], band: 0, ...slotBox(this.whole, tree.size[focus], at) });
      }
    } else {
      this.tiles = this.childItems(focus);
      squarifyByColour(this.tiles, (id) => tree.top[id], 0, 0, width, height);
      for (const tile of this.tiles) this.fill(tile);
    }
  }

  childItems(node) {
    const { tree } = this;
    const first = tree.firstChild[node];
    return Array.from({ length: tree.children[node] }, (_, at) => ({ id: first + at, size: tree.size[first + at] }));
  }

  fill(tile) {
    const { tree } = this;
    this.tileOfNode.set(tile.id, tile);
    const node = tree.settled(tile.id);
    const cells = tree.isLeaf(node) ? tree.size[node] : tree.children[node];
    const roomy = tile.w >= 90 && tile.h >= 60 && (tile.w * tile.h) / cells >= ROOMY; // cells with words of their own
    tile.band = roomy ? BAND : 0;
    tile.inner = {
      x: tile.x + GAP,
      y: tile.y + GAP + tile.band,
      w: Math.max(0, tile.w - 2 * GAP),
      h: Math.max(0, tile.h - 2 * GAP - tile.band),
    };
    tile.cells = [];
    if (tree.isLeaf(node)) {
      for (let at = 0; tree.order && at < tree.size[node]; at++) {
        tile.cells.push({ id: -1 - tree.start[node] - at, ...slotBox(tile.inner, tree.size[node], at) });
      }
    } else if (tree.children[node]) {
      tile.cells = this.childItems(node);
      const { x, y, w, h } = tile.inner;
      squarifyByColour(tile.cells, (id) => tree.top[id], x, y, w, h);
      for (const cell of tile.cells) this.cellOfNode.set(cell.id, cell);
    }
  }

  /** The tile of a document which is in this picture. */
  tileOfPlace(place) {
    const { tree, focus } = this;
    if (tree.isLeaf(focus)) return this.tiles[place - tree.start[focus]];
    return this.tileOfNode.get(tree.nodeAt[tree.depth[focus]][place]);
  }

  /** Where a document is in this picture; null if it is not in it. */
  boxOfPlace(place) {
    const { tree, focus } = this;
    if (place < 0 || !tree.holds(focus, place)) return null;
    if (tree.isLeaf(focus)) return this.tileOfPlace(place);
    const tile = this.tileOfPlace(place);
    const node = tree.settled(tile.id);
    if (tree.isLeaf(node)) return slotBox(tile.inner, tree.size[node], place - tree.start[node]);
    const cell = this.cellOfNode.get(tree.nodeAt[tree.depth[node]][place]);
    return slotBox(cell, cell.size, place - tree.start[cell.id]);
  }

  /** Where a node is in this picture, or the smallest thing in it which holds the node. */
  boxOfNode(node) {
    for (; node; node = this.tree.parent[node]) {
      const box = this.cellOfNode.get(node) ?? this.tileOfNode.get(node);
      if (box) return box;
    }
    return null;
  }

  tileAt(x, y) {
    return this.tiles.find((tile) => inside(tile, x, y));
  }
}

const inside = (box, x, y) => x >= box.x && x < box.x + box.w && y >= box.y && y < box.y + box.h;
