// The HTTP API of this server: the page's only way to the memory.

/** What the server refused; the message is its sentence, which says what to do. */
export class Problem extends Error {
  constructor(status, told) {
    super(told?.detail || "The server cannot be reached: is it running?");
    this.status = status;
  }
}

const KEPT = "mnemic.token"; // for this tab only: it is gone when the tab is closed

export const token = {
  get: () => sessionStorage.getItem(KEPT) ?? "",
  set: (secret) => (secret ? sessionStorage.setItem(KEPT, secret) : sessionStorage.removeItem(KEPT)),
};

export function addressOf(path, query = {}) {
  const address = new URL(path, location.origin);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "" && value !== false) address.searchParams.append(name, value);
  }
  return address;
}

async function sent(method, path, { query, body, form, headers, signal } = {}) {
  const told = { Accept: "application/json", ...headers };
  if (token.get()) told.Authorization = `Bearer ${token.get()}`;
  if (body !== undefined) told["Content-Type"] = "application/json";
  const options = { method, headers: told, signal, cache: "no-store", credentials: "omit", redirect: "error" };
  let response;
  try {
    response = await fetch(addressOf(path, query), { ...options, body: form ?? (body === undefined ? undefined : JSON.stringify(body)) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0);
  }
  if (response.ok) return response;
  const problem = new Problem(response.status, await response.json().catch(() => null));
  if (response.status === 401) dispatchEvent(new CustomEvent("token-needed", { detail: problem.message }));
  throw problem;
}

const json = async (...call) => (await sent(...call)).json();

export const spaces = () => json("GET", "/v1/spaces");

/** The routes of one space. */
export function inSpace(space) {
  const base = `/v1/spaces/${encodeURIComponent(space)}`;
  const at = (id) => `${base}/records/${encodeURIComponent(id)}`;
  const held = (etag) => (etag ? { "If-Match": etag } : {});
  return {
    stats: () => json("GET", `${base}/stats`),
    records: (query, signal) => json("GET", `${base}/records`, { query, signal }),
    recall: (query, signal) => json("GET", `${base}/recall`, { query, signal }),
    record: async (id, as_of) => {
      const response = await sent("GET", at(id), { query: { as_of } });
      return { record: await response.json(), etag: response.headers.get("ETag") };
    },
    history: (id) => json("GET", `${at(id)}/history`, { query: { order: "newest", limit: 200 } }),
    lineage: (id) => json("GET", `${at(id)}/lineage`),
    derived: (id) => json("GET", `${at(id)}/derived`),
    graph: (record, depth) => json("GET", `${base}/graph`, { query: { record, depth, most: 60 } }),
    remember: (record) => json("POST", `${base}/records`, { body: record }),
    change: (id, etag, fields) => json("PATCH", at(id), { body: fields, headers: held(etag) }),
    supersede: (id, etag, fields) => json("POST", `${at(id)}/supersede`, { body: fields, headers: held(etag) }),
    forget: (id, etag, why) => json("DELETE", at(id), { query: { why }, headers: held(etag) }),
    erase: (id, why) => json("POST", `${at(id)}/erase`, { body: { why } }),
    log: (query) => json("GET", `${base}/log`, { query }),
    operation: (n) => json("GET", `${base}/log/${n}`),
    undo: (operation) => json("POST", `${base}/undo`, { body: { operation } }),
    timeline: (buckets) => json("GET", `${base}/timeline`, { query: { buckets } }),
    audit: () => json("GET", `${base}/audit`),
    repair: (only, position) => json("POST", `${base}/audit/repair`, { body: { only, position } }),
    send: async function* (files, signal) {
      const form = new FormData();
      for (const file of files) form.append("file", file, file.name);
      yield* events(await sent("POST", `${base}/files`, { form, signal }));
    },
  };
}

/** Server-sent events of a response, one { event, data } after the other. */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map((line) => {
        const colon = line.indexOf(": ");
        return [line.slice(0, colon), line.slice(colon + 2)];
      }));
      if (fields.data) yield { event: fields.event ?? "message", data: JSON.parse(fields.data) };
    }
  }
}
