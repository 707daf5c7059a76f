// The page: what is asked, of which run, and what is chosen.

const SEARCH_DELAY = 80; // milliseconds after the last key
const ASKED = 20; // documents

class Page {
  constructor(runs) {
    this.runs = runs;
    this.mode = runs.some((run) => run.reads.includes("text")) ? "search" : "recommend";
    this.history = [];
    this.typed = { search: "", recommend: "" };
    this.labels = [];
    this.box = document.getElementById("query");
    this.status = document.getElementById("status");
    this.results = new Results(document.getElementById("hits"), this);
    this.tree = new TreePane(document.getElementById("tree"), this);
    this.about = new About(document.getElementById("about"), this);
    this.asking = new Latest((signal) => this.ask(signal), SEARCH_DELAY);
    this.chooser = document.getElementById("run");
    this.listen();
    this.changeMode(this.mode);
  }

  get kind() {
    return this.mode === "search" ? "text" : "history";
  }

  get canRecommend() {
    return this.runs.some((run) => run.reads.includes("history"));
  }

  /** The runs that can be asked now, and the one that is. */
  get able() {
    return this.runs.filter((run) => run.reads.includes(this.kind));
  }

  get run() {
    return this.able.find((run) => run.name === this.chooser.value) ?? this.able[0] ?? this.runs[0];
  }

  /** What is asked now, as the service takes it; null for nothing. */
  question() {
    if (this.mode === "search") return this.box.value.trim() ? { query: this.box.value.trim() } : null;
    return this.history.length ? { history: this.history.map(({ id }) => id) } : null;
  }

  changeMode(mode) {
    this.typed[this.mode] = this.box.value;
    this.mode = mode;
    this.box.value = this.typed[mode];
    for (const name of ["search", "recommend"]) {
      const tab = document.getElementById(`mode-${name}`);
      tab.setAttribute("aria-selected", String(name === mode));
      tab.hidden = !this.runs.some((run) => run.reads.includes(name === "search" ? "text" : "history"));
    }
    this.box.placeholder = mode === "search" ? "Find documents" : "Add an item by its id";
    this.box.setAttribute("aria-label", this.box.placeholder);
    this.chooser.replaceChildren(...this.able.map(({ name }) => make("option", { value: name }, name)));
    this.chooser.hidden = this.able.length < 2;
    this.changeRun();
  }

  changeRun() {
    const { run } = this;
    document.title = document.getElementById("title").textContent = run.name;
    document.getElementById("facts").textContent = `${documentsIn(run.documents)} · ${run.method}`;
    const options = run.labels.map(({ label, documents }) => make("option", { value: label }, documentsIn(documents)));
    document.getElementById("labels").replaceChildren(...options);
    document.getElementById("label").hidden = !options.length;
    this.showHistory();
    this.asking.now();
    this.drawTree(run.snapshot);
  }

  async ask(signal) {
    const question = this.question();
    if (!question) {
      this.results.show([]);
      this.tree.light([]);
      this.status.textContent = this.mode === "search" ? "" : "Add items to the history: what is found follows from them.";
      document.documentElement.dataset.asked = "";
      return;
    }
    const began = performance.now();
    const body = { ...question, k: ASKED, run: this.run.name, filters: { label: this.labels }, explain: true };
    try {
      const { answers, snapshot } = await fetched(this.mode, body, signal);
      const [{ hits }] = answers;
      const took = Math.round(performance.now() - began);
      this.status.textContent = hits.length ? `${hits.length} found in ${took} ms` : "Nothing found";
      this.results.show(hits);
      document.getElementById("down").hidden = !this.run.has_ids;
      this.results.mark(this.about.id);
      this.tree.light(hits);
      document.documentElement.dataset.asked = JSON.stringify(question);
      this.drawTree(snapshot);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      this.results.show([]);
      this.status.textContent = error.message;
    }
  }

  async drawTree(snapshot) {
    document.getElementById("seen").classList.toggle("bare", !this.run.has_ids);
    if (!this.run.has_ids) return;
    try {
      await this.tree.load(this.run.name, snapshot);
    } catch (error) {
      this.status.textContent = `The tree could not be drawn: ${error.message}`;
    }
  }

  /** Show a document; "" for none. */
  async choose(id) {
    this.results.mark(id);
    this.tree.ring(id);
    if (!id) {
      this.results.focusOn(this.about.id);
      return this.about.hide();
    }
    try {
      return await this.about.show(id);
    } catch (error) {
      this.status.textContent = error.message;
      return undefined;
    }
  }

  // ---- the history

  take({ id, text }) {
    this.history.push({ id, text });
    if (this.mode === "recommend") this.asking.now();
    this.showHistory();
  }

  async takeById(id) {
    try {
      this.take(await fetched(documentAt(id, this.run.name)));
      this.box.value = "";
    } catch (error) {
      this.status.textContent = error.message;
    }
  }

  showHistory() {
    const chips = this.history.map(({ id, text }, at) =>
      chip(text || id, `Take ${id} out of the history`, () => {
        this.history.splice(at, 1);
        this.showHistory();
        if (this.mode === "recommend") this.asking.now();
      }),
    );
    const strip = document.getElementById("history");
    strip.hidden = !chips.length;
    strip.replaceChildren(make("span", {}, `History (${chips.length})`), make("div", { className: "chips" }, ...chips));
  }

  // ---- labels

  filter(label) {
    if (label && !this.labels.includes(label)) this.labels.push(label);
    const chips = this.labels.map((name) =>
      chip(name, `Search no longer only ${name}`, () => {
        this.labels = this.labels.filter((other) => other !== name);
        this.filter("");
      }),
    );
    document.getElementById("filters").replaceChildren(...chips);
    this.asking.now();
  }

  listen() {
    const label = document.getElementById("label");
    const known = () => this.run.labels.some((one) => one.label === label.value);
    const choose = () => {
      if (!known()) return;
      this.filter(label.value);
      label.value = "";
    };
    label.addEventListener("input", (event) => event.inputType?.startsWith("insertText") || choose());
    label.addEventListener("change", choose);
    this.box.addEventListener("input", () => this.mode === "search" && this.asking.wish());
    document.getElementById("asking").addEventListener("submit", (event) => {
      event.preventDefault();
      if (document.activeElement === label) choose();
      else if (this.mode === "search") this.asking.now();
      else if (this.box.value.trim()) this.takeById(this.box.value.trim());
    });
    this.box.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowDown") return;
      event.preventDefault();
      this.results.focus(0);
    });
    for (const mode of ["search", "recommend"]) {
      document.getElementById(`mode-${mode}`).addEventListener("click", () => this.changeMode(mode));
    }
    this.chooser.addEventListener("change", () => this.changeRun());
    addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    const writes = ["INPUT", "SELECT"].includes(document.activeElement?.tagName);
    if (event.key === "/" && !writes && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.box.focus();
    } else if (event.key === "Escape" && this.about.id) this.choose("");
  }
}

/** A name with a button that takes it away. */
function chip(text, title, remove) {
  const button = make("button", { type: "button", "aria-label": title }, "×");
  button.addEventListener("click", remove);
  return make("span", { className: "chip" }, make("span", { dir: "auto" }, text), button);
}

fetched("runs").then(
  (runs) => {
    new Page(runs);
    document.documentElement.dataset.state = "ready";
  },
  (error) => document.body.append(make("p", { className: "notice", role: "alert" }, `The service does not answer: ${error.message}`)),
);
