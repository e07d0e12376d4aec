// Follows calls as they are made: rows are put on top of the table of records. The
// table is there without it, as of when the page was asked for.
"use strict";

(() => {
  const button = document.getElementById("follow"), told = document.getElementById("followed");
  const table = document.getElementById("records");
  if (!button || !table) return;
  const body = table.tBodies[0], most = 200;
  let source = null, added = 0, missed = 0, opened = false, gap = false;

  button.addEventListener("click", () => source ? pause() : follow());
  follow();

  function follow() {
    source = new EventSource(button.dataset.stream);
    source.addEventListener("record", (e) => add(JSON.parse(e.data)));
    source.addEventListener("missed", (e) => { missed += JSON.parse(e.data).missed; tell(); });
    // A stream has what is written from its beginning on, and nothing of the time before.
    source.onopen = () => { gap = gap || opened; opened = true; tell(); };
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) {
        told.textContent = "The connection is lost; trying again.";
        return;
      }
      pause(); // the browser doesn't try again after a refusal
      told.textContent = "No longer following: load the page again.";
    };
    button.textContent = "Pause";
  }

  function pause() {
    source.close();
    source = null;
    button.textContent = "Follow";
    told.textContent = "Paused.";
  }

  function tell() {
    told.textContent = "Following" + (added ? ", " + added.toLocaleString() + " new" : "") + (missed ? ", " + missed.toLocaleString() + " not shown" : "") + "." +
      (gap ? " Those of a pause in between may be missing: load the page again." : "");
  }

  function element(name, text, attributes) {
    const e = document.createElement(name);
    if (text !== undefined && text !== null) e.textContent = text;
    for (const [k, v] of Object.entries(attributes || {})) e.setAttribute(k, v);
    return e;
  }

  function cell(label, content, attributes) {
    const td = element("td", null, { "data-label": label, ...attributes });
    td.append(content || element("span", "–", { class: "soft" }));
    return td;
  }

  function add(r) {
    const empty = document.getElementById("none");
    if (empty) { empty.remove(); table.parentElement.hidden = false; }
    // Records come as calls end, which is not quite in the order of their numbers.
    const numbered = [...body.rows].map((e) => [e, Number(e.dataset.seq)]);
    if (numbered.some(([, seq]) => seq === r.seq)) return;
    const [older] = numbered.find(([, seq]) => seq < r.seq) || [null];
    const at = new Date(r.time), row = element("tr", null, { class: "fresh", "data-seq": r.seq });
    const text = at.toUTCString(); // as "Fri, 27 Nov 2026 14:54:56 GMT"
    const time = element("time", text.slice(5, 12).replace(/^0/, "") + text.slice(17, 25), { datetime: r.time });
    localTime(time);
    const link = element("a", null, { href: "/console/calls/" + r.seq });
    link.append(time);
    const operation = document.createDocumentFragment();
    operation.append(r.operation ? element("code", r.operation) : element("code", r.method + " " + r.path, { class: "cut" }));
    row.append(
      cell("Time", link),
      cell("Decision", element("span", r.decision === "deny" ? "refused" : "allowed", { class: "badge " + (r.decision === "deny" ? "bad" : "good") })),
      cell("Operation", operation),
      cell("Connection", r.connection && element("a", r.connection, { href: "/console/connections/" + encodeURIComponent(r.connection) })),
      cell("Client", r.client && (r.client.includes(":") ? element("span", r.client) : element("a", r.client, { href: "/console/clients/" + encodeURIComponent(r.client) }))),
      cell("Reason", r.code && element("span", r.code.replaceAll("_", " "))),
      cell("Status", element("span", r.status || "–"), { class: "number" }),
      cell("Took", element("span", took(r.duration_ms)), { class: "number" }),
    );
    body.insertBefore(row, older);
    setTimeout(() => row.classList.remove("fresh"), 3000);
    while (body.rows.length > most) body.lastElementChild.remove();
    added++;
    tell();
  }

  function took(ms) {
    if (ms >= 10000) return (ms / 1000).toFixed(1) + " s";
    if (ms >= 100) return Math.round(ms).toLocaleString("en") + " ms";
    return ms.toFixed(ms >= 10 ? 1 : 2) + " ms";
  }
})();
