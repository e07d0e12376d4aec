// What pages can do with scripts, and can be read without: local times, copy buttons,
// and charts of the tables that hold their numbers.
"use strict";

document.documentElement.classList.add("js");

// Every time is in UTC; the local one is its title.
for (const e of document.querySelectorAll("time[datetime]")) localTime(e);

function localTime(e) {
  const t = new Date(e.dateTime);
  if (!isNaN(t)) e.title = t.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" }) + " (local time)";
}

// On narrow screens the navigation scrolls: the page that is shown is in sight there.
const current = document.querySelector(".side nav [aria-current]");
if (current) {
  const nav = current.closest("nav");
  nav.scrollLeft = current.offsetLeft - (nav.clientWidth - current.offsetWidth) / 2;
}

// A button copies what its data-copy says, or the text of the element that it names.
for (const b of document.querySelectorAll("button[data-copy], button[data-copy-from]")) {
  b.addEventListener("click", async () => {
    const from = b.dataset.copyFrom;
    const text = from ? document.getElementById(from).textContent.trim() : b.dataset.copy;
    const before = b.textContent;
    try {
      await navigator.clipboard.writeText(text);
      b.textContent = "Copied";
    } catch {
      b.textContent = "Select and copy";
    }
    setTimeout(() => { b.textContent = before; }, 2000);
  });
}

// A chart is a figure with a div "plot" and a table, whose first column has times and
// whose others have a series each. data-unit of a heading is written after values,
// data-kind is "bars" or "line". The table's data-scale is "log" or nothing.
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const charts = [];
for (const figure of document.querySelectorAll("figure.chart")) {
  const chart = readChart(figure);
  if (chart) charts.push(chart);
}
if (charts.length && window.uPlot) {
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  const resized = new ResizeObserver(() => {
    for (const c of charts) if (c.plot) c.plot.setSize(c.size());
  });
  for (const c of charts) resized.observe(c.place);
}

function readChart(figure) {
  const table = figure.querySelector("table"), place = figure.querySelector(".plot");
  if (!table || !place || table.tBodies[0].rows.length < 2) return null;
  const heads = [...table.tHead.rows[0].cells];
  const data = heads.map(() => []);
  for (const row of table.tBodies[0].rows) {
    const time = row.cells[0].querySelector("time");
    data[0].push(Date.parse(time.dateTime) / 1000);
    for (let i = 1; i < heads.length; i++) {
      const v = row.cells[i].dataset.value;
      data[i].push(v === undefined || v === "" ? null : Number(v));
    }
  }
  const size = () => ({ width: Math.max(place.clientWidth, 200), height: 190 });
  return { place, heads, data, size, log: table.dataset.scale === "log" && data.slice(1).some((d) => d.some((v) => v > 0)), plot: null };
}

function draw() {
  const css = getComputedStyle(document.documentElement);
  const colour = (name) => css.getPropertyValue(name).trim();
  for (const c of charts) {
    if (c.plot) c.plot.destroy();
    const two = (n) => String(n).padStart(2, "0");
    const times = (u, ticks, i, space, step) => ticks.map((t) => {
      const d = new Date(t * 1000), day = d.getUTCDate() + " " + months[d.getUTCMonth()];
      return step >= 86400 || (d.getUTCHours() === 0 && d.getUTCMinutes() === 0) ? day : two(d.getUTCHours()) + ":" + two(d.getUTCMinutes());
    });
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--grid"), width: 1 }, ticks: { stroke: colour("--grid"), width: 1 } };
    const series = c.heads.map((head, i) => {
      if (i === 0) return { label: "UTC", value: (_, t) => t === null ? "–" : new Date(t * 1000).toISOString().slice(5, 16).replace("T", " ") };
      const stroke = colour("--chart-" + i);
      const unit = head.dataset.unit || "";
      const s = { label: head.textContent, stroke, width: 1.75, points: { show: false }, value: (_, v) => v === null ? "–" : v.toLocaleString("en") + unit };
      if (head.dataset.kind === "bars") {
        s.paths = uPlot.paths.bars({ size: [0.8, 40] });
        s.fill = stroke;
        s.width = 0;
      } else {
        s.spanGaps = false;
        s.points = { show: (u, si, i0, i1) => i1 - i0 < 60, size: 4 };
      }
      return s;
    });
    c.plot = new uPlot({
      ...c.size(),
      tzDate: (t) => uPlot.tzDate(new Date(t * 1000), "Etc/UTC"),
      series,
      axes: [{ ...axis, values: times }, { ...axis, size: 60, values: (u, ticks) => ticks.map((v) => v === null ? "" : v.toLocaleString("en")) }],
      scales: { y: c.log ? { distr: 3 } : { range: (u, min, max) => [0, Math.max(max * 1.1, 1)] } },
      cursor: { drag: { x: false, y: false } },
    }, c.data, c.place);
    c.plot.root.setAttribute("aria-hidden", "true"); // the table says the same
  }
}
