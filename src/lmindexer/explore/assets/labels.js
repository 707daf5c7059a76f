// Labels, and which of them have a colour.

const LABEL_COLOURS = 8;
const OTHER = LABEL_COLOURS; // after the colours of labels: any other label
const NONE = LABEL_COLOURS + 1; // no label at all

/** The labels cut at a level, as Python's _Groups: the most frequent first. */
class Labels {
  constructor(names, counts, other, unlabelled, groupOf) {
    Object.assign(this, { names, counts, other, unlabelled, groupOf });
  }

  static ofSummary(summary) {
    const names = summary.labels.map((label) => label[0].join(" › "));
    const counts = summary.labels.map((label) => label[1]);
    return new Labels(names, counts, summary.other, summary.unlabelled, null);
  }

  /** Level -1: no labels, so that colour is size. */
  static at(level, paths, labelOf) {
    if (level < 0) return new Labels([], [], 0, labelOf.length, new Int32Array(labelOf.length).fill(-1));
    const numbers = new Map();
    const groupOfLabel = paths.map((path) => {
      const name = path.slice(0, level + 1).join(" › ");
      if (!numbers.has(name)) numbers.set(name, numbers.size);
      return numbers.get(name);
    });
    const counts = new Array(numbers.size).fill(0);
    let unlabelled = 0;
    for (const label of labelOf) label < 0 ? unlabelled++ : counts[groupOfLabel[label]]++;
    const order = counts.map((_, group) => group).sort((a, b) => counts[b] - counts[a]);
    const rank = new Int32Array(order.length);
    order.forEach((group, at) => (rank[group] = at));
    const names = [...numbers.keys()];
    const groupOf = Int32Array.from(labelOf, (label) => (label < 0 ? -1 : rank[groupOfLabel[label]]));
    const sorted = order.map((group) => counts[group]);
    const other = sorted.slice(LABEL_COLOURS).reduce((a, b) => a + b, 0);
    return new Labels(order.map((group) => names[group]), sorted, other, unlabelled, groupOf);
  }

  get exist() {
    return this.names.length > 0;
  }

  /** Does the legend show this colour? */
  has(slot) {
    if (slot === OTHER) return this.other > 0;
    return slot === NONE ? this.exist && this.unlabelled > 0 : slot >= 0 && slot < this.names.length;
  }

  slot(group) {
    return group < 0 ? NONE : Math.min(group, OTHER);
  }

  slotOf(doc) {
    return this.groupOf ? this.slot(this.groupOf[doc]) : NONE;
  }
}

/** "Makeup › Nails" -> "Nails". */
const lastPart = (name) => name.split(" › ").pop();
