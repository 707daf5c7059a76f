// The data of the page: unpacking, and the tree of a run.

const STEPS = 12; // strengths of one colour

const number = (value) => value.toLocaleString("en");
const percent = (share) => (share > 0 && share < 0.01 ? "<1%" : `${Math.round(100 * share)}%`);

const documentsIn = (count) => `${number(count)} ${count === 1 ? "document" : "documents"}`;

/** Each distinct value with how often it is there, the most frequent first: [[value, count], ...]. */
function tally(values) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
}

function readSummary() {
  return JSON.parse(document.getElementById("summary").textContent);
}

/** What Python packed: base64 of deflated JSON. The element is dropped, its text is not needed again. */
async function unpack(name) {
  const element = document.getElementById(name);
  const packed = atob(element.textContent.trim());
  element.remove();
  const bytes = new Uint8Array(packed.length);
  for (let at = 0; at < packed.length; at++) bytes[at] = packed.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

/**
 * The nodes of one run, numbered by depth and then by path; 0 is the root. A node's documents are the places
 * start to start + size of `order`, and its children are consecutive nodes.
 */
class Tree {
  constructor(run) {
    Object.assign(this, { name: run.name, sizes: run.sizes, documents: run.documents, paths: run.paths });
    this.code = [-1];
    this.size = [run.documents];
    this.start = [0];
    this.parent = [0];
    this.depth = [0];
    this.firstChild = [0];
    this.children = [0];
    this.words = [[]];
    this.nodeAt = []; // by depth: the node of each place in `order`
    this.order = null; // place -> document; null until the documents are unpacked
  }

  /** Only the first codes, as the summary knows them. */
  static ofSummary(run) {
    const tree = new Tree(run);
    tree.firstChild[0] = 1;
    run.codes.forEach((code, at) => tree.add(0, 1, code, 0, run.counts[at], run.words[at]));
    tree.finish();
    return tree;
  }

  /** All nodes. `packed` has the codes by position, `documents` the document of each row. */
  static ofCodes(run, packed, documents, vocabulary, documentCount) {
    const tree = new Tree(run);
    const rows = sortedByCodes(packed.codes, run.documents);
    const N = rows.length;
    let above = new Int32Array(N);
    packed.codes.forEach((column, t) => {
      const here = new Int32Array(N);
      let inDepth = 0;
      for (let place = 0; place < N; place++) {
        const code = column[rows[place]];
        const node = tree.code.length - 1;
        if (place && above[place] === above[place - 1] && code === tree.code[node]) {
          tree.size[node]++;
        } else {
          const words = t ? packed.words[t - 1][inDepth].map((word) => vocabulary[word]) : run.words[inDepth];
          if (!tree.children[above[place]]) tree.firstChild[above[place]] = tree.code.length;
          tree.add(above[place], t + 1, code, place, 1, words);
          inDepth++;
        }
        here[place] = tree.code.length - 1;
      }
      tree.nodeAt.push(here);
      above = here;
    });
    tree.order = Int32Array.from(rows, (row) => documents[row]);
    tree.suffix = packed.suffix && Int32Array.from(rows, (row) => packed.suffix[row]);
    tree.placeOf = new Int32Array(documentCount).fill(-1);
    tree.order.forEach((doc, place) => (tree.placeOf[doc] = place));
    tree.finish();
    return tree;
  }

  add(parent, depth, code, start, size, words) {
    this.code.push(code);
    this.size.push(size);
    this.start.push(start);
    this.parent.push(parent);
    this.depth.push(depth);
    this.firstChild.push(0);
    this.children.push(0);
    this.words.push(words);
    this.children[parent]++;
  }

  finish() {
    this.top = this.code.map(() => NONE); // colour slot of the most frequent label
    this.topName = this.code.map(() => "");
    this.share = new Float32Array(this.code.length); // its share of the node's documents
    this.largest = []; // by depth
    this.size.forEach((size, node) => {
      this.largest[this.depth[node]] = Math.max(size, this.largest[this.depth[node]] ?? 1);
    });
  }

  isLeaf(node) {
    return this.depth[node] === this.sizes.length;
  }

  /** The node itself, or where its only child and that one's only child lead. */
  settled(node) {
    while (this.children[node] === 1) node = this.firstChild[node];
    return node;
  }

  /** The nearest node above which shows more than this one; the root has none above. */
  above(node) {
    let up = this.parent[node];
    while (up && this.children[up] === 1) up = this.parent[up];
    return this.settled(up);
  }

  /** The nodes from below the root down to this one. */
  way(node) {
    const nodes = [];
    for (; node; node = this.parent[node]) nodes.unshift(node);
    return nodes;
  }

  path(node) {
    return this.way(node).map((step) => this.code[step]);
  }

  /** The node of a path such as "3.5"; the root where there is none. */
  nodeOf(path) {
    let node = 0;
    for (const code of path.split(".")) {
      const first = this.firstChild[node];
      const last = first + this.children[node];
      for (node = first; node < last && String(this.code[node]) !== code; ) node++;
      if (node === last) return 0;
    }
    return node;
  }

  /**
   * Where some documents are: how many below `focus`, how many of these below each child of it, how many under other
   * codes (the highest which do not hold the focus), most first, and how many are not in this run.
   */
  whereabouts(focus, documents) {
    const way = this.way(focus);
    const places = Array.from(documents, (doc) => this.placeOf[doc]).filter((place) => place >= 0);
    const inside = places.filter((place) => this.holds(focus, place));
    const outside = places.filter((place) => !this.holds(focus, place));
    const beside = (place) => this.nodeAt[way.findIndex((node) => !this.holds(node, place))][place];
    return {
      here: inside.length,
      inside: this.isLeaf(focus) ? [] : tally(inside.map((place) => this.nodeAt[way.length][place])),
      elsewhere: tally(outside.map(beside)),
      absent: documents.length - places.length,
    };
  }

  holds(node, place) {
    return place >= this.start[node] && place < this.start[node] + this.size[node];
  }

  /** Where to look at a document: the deepest node with enough others around it, or else its first code. */
  home(doc, enough = 10) {
    const place = this.placeOf[doc];
    let home = this.nodeAt[0][place];
    for (const nodes of this.nodeAt) if (this.size[nodes[place]] >= enough) home = nodes[place];
    return this.settled(home);
  }

  documentsOf(node) {
    return this.order.subarray(this.start[node], this.start[node] + this.size[node]);
  }

  /** The whole ID of a document, with its suffix; "" where this run does not have it. */
  idOf(doc) {
    const place = this.placeOf[doc];
    if (place < 0) return "";
    const codes = this.nodeAt.map((nodes) => this.code[nodes[place]]);
    return (this.suffix ? [...codes, this.suffix[place]] : codes).join(" · ");
  }

  /** The most frequent label of every node, from the groups of `labels`. */
  colourBy(labels) {
    const counts = new Int32Array(labels.names.length);
    for (let node = 0; node < this.code.length; node++) {
      let best = -1;
      const own = this.documentsOf(node);
      for (const doc of own) if (labels.groupOf[doc] >= 0) counts[labels.groupOf[doc]]++;
      for (const doc of own) {
        const group = labels.groupOf[doc];
        if (group < 0 || group === best) continue;
        if (best < 0 || counts[group] > counts[best] || (counts[group] === counts[best] && group < best)) best = group;
      }
      this.top[node] = labels.slot(best);
      this.topName[node] = best < 0 ? "" : labels.names[best];
      this.share[node] = best < 0 ? 0 : counts[best] / own.length;
      for (const doc of own) if (labels.groupOf[doc] >= 0) counts[labels.groupOf[doc]] = 0;
    }
  }
}

/** Rows in the order of their paths: one counting sort a position, the last position first. */
function sortedByCodes(columns, N) {
  let rows = Int32Array.from({ length: N }, (_, row) => row);
  for (const column of [...columns].reverse()) {
    let most = 0;
    for (const code of column) if (code > most) most = code;
    const next = new Int32Array(most + 2);
    for (const code of column) next[code + 1]++;
    for (let code = 0; code <= most; code++) next[code + 1] += next[code];
    const sorted = new Int32Array(N);
    for (const row of rows) sorted[next[column[row]]++] = row;
    rows = sorted;
  }
  return rows;
}
