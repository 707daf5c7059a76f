// The box that finds documents by the words of their ids and texts.

const SEARCH_DELAY = 120; // milliseconds after the last key

class Search {
  constructor(page) {
    this.page = page;
    this.box = document.getElementById("query");
    this.found = document.getElementById("found");
    this.keys = []; // what is searched: by document, when unpacked
    this.waiting = 0;
    const length = page.summary.textLength;
    this.box.title = `Searches ids and the first ${length} characters of the texts; all words must be there`;
    this.box.addEventListener("input", () => {
      clearTimeout(this.waiting);
      this.waiting = setTimeout(() => page.search(this.box.value), SEARCH_DELAY);
    });
    this.box.addEventListener("keydown", (event) => this.key(event));
  }

  open({ ids, texts }) {
    this.keys = ids.map((id, doc) => `${id}\n${texts[doc]}`.toLowerCase());
    this.box.disabled = false;
  }

  key(event) {
    const { page } = this;
    if (event.key === "ArrowDown") page.panel.listElement.focus();
    else if (event.key === "Enter") {
      page.search(this.box.value);
      if (page.state.hits?.length) page.choose(page.state.hits[0]);
    } else if (event.key === "Escape" && this.box.value) {
      page.search("");
      event.stopPropagation(); // the page would go back
    } else return;
    event.preventDefault();
  }

  /** The documents which have all the words of `query`, shown as the one searched for; null for a query of no words. */
  find(query) {
    clearTimeout(this.waiting);
    if (this.box.value !== query) this.box.value = query;
    const terms = query.toLowerCase().split(/\s+/).filter(Boolean);
    const all = Array.from(terms.length ? this.keys.keys() : []);
    const hits = all.filter((doc) => terms.every((term) => this.keys[doc].includes(term)));
    this.found.textContent = terms.length ? `${number(hits.length)} found` : "";
    return terms.length ? hits : null;
  }
}
