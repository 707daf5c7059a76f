// What the page asks of the service.

/** The answer of a route as data. Throws an Error with the sentence that the service gives. */
async function fetched(path, body, signal) {
  const how = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  const response = await fetch(path, { ...how, signal });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

/** The address of a document: its id may have any sign. */
const documentAt = (id, run) => `documents/${id.split("/").map(encodeURIComponent).join("/")}?run=${encodeURIComponent(run)}`;

/** Calls a function once for many wishes that follow each other quickly; a new wish ends what runs of an old one. */
class Latest {
  constructor(call, delay) {
    Object.assign(this, { call, delay, timer: 0, running: null });
  }

  wish(delay = this.delay) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.now(), delay);
  }

  async now() {
    clearTimeout(this.timer);
    this.running?.abort();
    const running = (this.running = new AbortController());
    try {
      await this.call(running.signal);
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }
  }
}
