"use strict";
// Makes the static report interactive: choice of axes, legend, tooltips, filters, sorting, runs.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const parse = (element) => JSON.parse(element.textContent);
  const common = parse(document.getElementById("common"));
  const shown = {
    problem: new Set(common.problems), optimizer: new Set(common.optimizers),
    criterion: new Set(common.criteria), arm: new Set(common.arms),
  };
  const showsOptimizer = (i) => shown.optimizer.has(common.optimizers[i]) && shown.criterion.has(common.criteria[i]);
  const showsProblem = (i) => shown.problem.has(common.problems[i]) && shown.arm.has(common.arms[i]);
  const redraw = [];
  document.documentElement.classList.add("live");

  function make(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }

  function draw(parent, name, attributes, text) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  }

  function format(value) {
    if (value === null || value === undefined) return "∞";
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size < 1e-3 || size >= 1e6) return value.toExponential(2).replace("e+", "e");
    return value.toLocaleString("en", { maximumSignificantDigits: size < 1e4 ? 4 : 6 });
  }

  // A tick's label: round numbers without trailing zeros.
  const tick = (value) => format(value).replace(/\.?0+e/, "e");

  const color = (i) => common.palette[common.styles[i] % common.palette.length];
  function dash(i) {
    const [on, off] = common.dashes[common.styles[i] % common.dashes.length];
    return off ? `${on} ${off}` : "none";
  }

  // ---- axes

  function linearTicks(low, high) {
    const raw = (high - low) / 6;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((f) => f * power).find((s) => s >= raw * 0.999);
    const ticks = [];
    for (let i = Math.ceil(low / step); i * step <= high * (1 + 1e-9); i++) ticks.push(i * step);
    return ticks;
  }

  function logTicks(low, high) {
    const first = Math.ceil(Math.log10(low) - 1e-9);
    const last = Math.floor(Math.log10(high) + 1e-9);
    if (last - first < 2) {
      const ticks = [];
      for (let e = first - 1; e <= last; e++)
        for (const f of [1, 2, 5]) ticks.push(f * 10 ** e);
      return ticks.filter((t) => t >= low && t <= high);
    }
    const stride = Math.ceil((last - first + 1) / 7);
    const ticks = [];
    for (let e = first; e <= last; e++) if (e % stride === 0) ticks.push(Number(`1e${e}`));
    return ticks;
  }

  function axis(values, log) {
    const usable = values.filter((v) => v !== null && Number.isFinite(v) && (!log || v > 0));
    let low = Math.min(...usable), high = Math.max(...usable);
    if (!usable.length) [low, high] = log ? [0.1, 10] : [0, 1];
    if (log) {
      const margin = Math.max(0.04 * Math.log10(high / low), 0.02);
      [low, high] = [low / 10 ** margin, high * 10 ** margin];
    } else {
      if (low === high) [low, high] = [low - 0.5, high + 0.5];
      const margin = 0.04 * (high - low);
      [low, high] = [low >= 0 && low < 0.2 * high ? 0 : low - margin, high + margin];
    }
    const through = log ? Math.log : (v) => v;
    const [a, b] = [through(low), through(high)];
    return {
      share: (v) => (through(v) - a) / (b - a),
      holds: (v) => v !== null && Number.isFinite(v) && (!log || v > 0),
      ticks: log ? logTicks(low, high) : linearTicks(low, high),
    };
  }

  // ---- charts

  // Draws series [{ style, label, x, median, low, high, switch }] into `box`.
  function chart(box, series, options) {
    const width = Math.max(300, Math.min(box.clientWidth || 760, 820));
    const height = Math.min(420, 0.6 * width + 80);
    const plot = { left: 78, right: width - 14, top: 12, bottom: height - 48 };
    const start = Math.max(...series.map((s) => s.median[0] ?? -Infinity));
    // Curves that diverge must not flatten the others.
    const cap = options.log && start > 0 ? 1e3 * start : Infinity;
    const x = axis(series.flatMap((s) => s.x), false);
    const y = axis(
      series.flatMap((s) => s.median.concat(s.low)).map((v) => (v === null ? v : Math.min(v, cap)))
        .concat(options.target === null ? [] : [options.target]),
      options.log,
    );
    const px = (v) => plot.left + x.share(v) * (plot.right - plot.left);
    const py = (v) => {
      const share = v === null ? 1 : y.holds(v) ? y.share(v) : 0;
      return plot.bottom - Math.min(1, Math.max(0, share)) * (plot.bottom - plot.top);
    };
    const fixed = (v) => v.toFixed(1);
    box.replaceChildren();
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("role", "img");
    svg.setAttribute("tabindex", "0");
    svg.setAttribute("aria-label", `${options.title}: ${options.yLabel} against ${options.xLabel}. ` +
      series.map((s) => `${s.label} ends at ${format(s.median.at(-1))}`).join(", "));
    box.append(svg);
    for (const t of y.ticks) {
      draw(svg, "line", { x1: plot.left, x2: plot.right, y1: py(t), y2: py(t), stroke: "#e2e2e2" });
      draw(svg, "text", { x: plot.left - 8, y: py(t) + 4, "text-anchor": "end" }, tick(t));
    }
    for (const t of x.ticks) {
      draw(svg, "line", { x1: px(t), x2: px(t), y1: plot.top, y2: plot.bottom, stroke: "#e2e2e2" });
      draw(svg, "text", { x: px(t), y: plot.bottom + 18, "text-anchor": "middle" }, tick(t));
    }
    draw(svg, "path", { d: `M${plot.left} ${plot.top}V${plot.bottom}H${plot.right}`, fill: "none", stroke: "#666" });
    draw(svg, "text", { x: (plot.left + plot.right) / 2, y: height - 8, "text-anchor": "middle" }, options.xLabel);
    const middle = (plot.top + plot.bottom) / 2;
    draw(svg, "text", { x: 14, y: middle, "text-anchor": "middle", transform: `rotate(-90 14 ${middle})` }, options.yLabel);
    if (options.target !== null) {
      draw(svg, "line", { x1: plot.left, x2: plot.right, y1: py(options.target), y2: py(options.target), stroke: "#666", "stroke-dasharray": "3 3" });
      draw(svg, "text", { x: plot.right - 6, y: py(options.target) - 5, "text-anchor": "end" }, `${options.targetName ?? "target"} ${options.targetText ?? tick(options.target)}`);
    }
    if (!series.some((s) => s.median.some(y.holds)))
      draw(svg, "text", { x: (plot.left + plot.right) / 2, y: middle, "text-anchor": "middle" }, "no curve to show");
    for (const s of series) {
      const upper = s.x.map((v, i) => `${fixed(px(v))} ${fixed(py(s.high[i]))}`);
      const lower = s.x.map((v, i) => `${fixed(px(v))} ${fixed(py(s.low[i]))}`).reverse();
      if (s.runs > 1 && upper.length > 1)
        draw(svg, "path", { d: `M${upper.concat(lower).join("L")}Z`, fill: color(s.style), "fill-opacity": 0.15 });
    }
    for (const s of series) {
      let path = "", open = false;
      s.x.forEach((v, i) => {
        const inside = y.holds(s.median[i]) && s.median[i] <= cap;
        if (inside) path += `${open ? "L" : "M"}${fixed(px(v))} ${fixed(py(s.median[i]))}`;
        open = inside;
      });
      draw(svg, "path", { d: path || "M0 0", fill: "none", stroke: color(s.style), "stroke-width": 2, "stroke-dasharray": dash(s.style) });
      // The diamond lies on the line as it is drawn, straight between two points.
      const after = s.x.findIndex((v) => s.switch !== null && v >= s.switch);
      const before = s.x[after] === s.switch ? after : after - 1;
      const drawn = (i) => i >= 0 && y.holds(s.median[i]) && s.median[i] <= cap;
      if (drawn(after) && drawn(before)) {
        const share = before === after ? 0 : (s.switch - s.x[before]) / (s.x[after] - s.x[before]);
        const [low, high] = [py(s.median[before]), py(s.median[after])];
        const [cx, cy] = [px(s.switch), low + share * (high - low)];
        draw(svg, "path", { d: `M${cx} ${cy - 6}l6 6l-6 6l-6 -6Z`, fill: "#fff", stroke: color(s.style), "stroke-width": 2 });
      }
    }
    tooltip(box, svg, series, { px, py, plot, width, y }, options);
  }

  function tooltip(box, svg, series, { px, py, plot, width, y }, options) {
    const places = [...new Set(series.flatMap((s) => s.x))].sort((a, b) => a - b);
    const rule = draw(svg, "line", { y1: plot.top, y2: plot.bottom, stroke: "#222", visibility: "hidden" });
    const tip = make("div", { class: "tip", "aria-live": "polite", hidden: "" });
    box.append(tip);
    let current = -1;
    function show(index) {
      if (!places.length) return;
      current = Math.min(places.length - 1, Math.max(0, index));
      const at = places[current];
      rule.setAttribute("x1", px(at));
      rule.setAttribute("x2", px(at));
      rule.setAttribute("visibility", "visible");
      const body = make("tbody");
      for (const s of series) {
        let i = s.x.findLastIndex((v) => v <= at);
        if (i < 0) continue;
        const range = s.runs > 1 ? ` [${format(s.low[i])}, ${format(s.high[i])}], ${s.runs} runs` : `, seed ${s.seed ?? "single"}`;
        const swatch = make("td", {}, "■");
        swatch.style.color = color(s.style);
        body.append(make("tr", {}, swatch, make("td", {}, s.label), make("td", {}, format(s.median[i]) + range)));
      }
      tip.replaceChildren(make("div", {}, `${options.xLabel}: ${format(at)}`), make("table", {}, body));
      tip.hidden = false;
      const scale = svg.clientWidth / width || 1;
      const left = px(at) * scale + 12;
      tip.style.left = `${Math.max(0, Math.min(left, box.clientWidth - tip.offsetWidth))}px`;
      tip.style.top = `${plot.bottom * scale + 46}px`;
    }
    function hide() {
      tip.hidden = true;
      rule.setAttribute("visibility", "hidden");
    }
    svg.addEventListener("pointermove", (event) => {
      const at = ((event.clientX - svg.getBoundingClientRect().left) * width) / svg.clientWidth;
      let best = 0;
      places.forEach((v, i) => { if (Math.abs(px(v) - at) < Math.abs(px(places[best]) - at)) best = i; });
      show(best);
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (event.key === "Escape") hide();
      if (!step) return;
      event.preventDefault();
      show(current < 0 ? 0 : current + step);
    });
  }

  // ---- one figure per problem

  function figure(section) {
    const data = parse(section.querySelector("script.curves"));
    const control = (name) => section.querySelector(`[data-control="${name}"]`);
    const metric = control("metric"), axisChoice = control("axis"), log = control("log");
    if (!metric) return;
    data.metrics.forEach((m, i) => metric.append(make("option", { value: i }, m.label)));
    common.axes.forEach((a, i) => axisChoice.append(make("option", { value: i }, a.label)));
    const hidden = new Set();
    const legend = section.querySelector(".legend");
    const box = section.querySelector(".chart");
    function update() {
      const m = data.metrics[metric.value];
      if (!m) return;
      const series = m.series
        .filter((s) => showsOptimizer(s.optimizer))
        .map((s) => ({ ...s.axes[axisChoice.value], runs: s.runs, style: s.optimizer, label: common.optimizers[s.optimizer] }));
      legend.replaceChildren(...series.map((s) => {
        const button = make("button", { type: "button", "aria-pressed": String(!hidden.has(s.label)) });
        const sample = draw(button, "svg", { width: 26, height: 10, "aria-hidden": "true" });
        draw(sample, "line", { x1: 0, x2: 26, y1: 5, y2: 5, stroke: color(s.style), "stroke-width": 3, "stroke-dasharray": dash(s.style) });
        button.append(s.label);
        button.addEventListener("click", () => {
          hidden.has(s.label) ? hidden.delete(s.label) : hidden.add(s.label);
          update();
          [...legend.children].find((other) => other.textContent === s.label)?.focus();
        });
        return button;
      }));
      chart(box, series.filter((s) => !hidden.has(s.label)), {
        title: data.title, log: log.checked, xLabel: common.axes[axisChoice.value].label, yLabel: m.label, target: m.target, targetText: m.targetText,
      });
    }
    metric.addEventListener("change", () => { log.checked = data.metrics[metric.value].log; update(); });
    for (const element of [axisChoice, log]) element.addEventListener("change", update);
    log.checked = data.metrics[0]?.log ?? false;
    redraw.push(update);
    update();
  }

  // Figures are made when they come near the window, so that a page of many opens at once.
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      observer.unobserve(entry.target);
      figure(entry.target);
    }
  }, { rootMargin: "600px" });
  const sections = document.querySelectorAll("section[data-problem]");
  for (const section of sections) observer.observe(section);

  // ---- sortable tables

  // The number a cell begins with; a dash for "nothing" sorts last.
  function key(text) {
    if (text.startsWith("∞")) return Infinity;
    const number = parseFloat(text.replaceAll(",", ""));
    return Number.isNaN(number) ? text : number;
  }

  function compare(a, b) {
    if (typeof a === "number" && typeof b === "number") return a < b ? -1 : a > b ? 1 : 0;
    if (typeof a === "number") return -1;
    if (typeof b === "number") return 1;
    return a.localeCompare(b);
  }

  function sortable(header, sort) {
    const label = header.textContent;
    const button = make("button", { type: "button" }, label);
    header.replaceChildren(button);
    button.addEventListener("click", () => {
      const direction = header.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      for (const other of header.parentNode.children) other.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", direction);
      sort(direction === "ascending" ? 1 : -1);
    });
  }

  for (const table of document.querySelectorAll("table[data-sortable]")) {
    [...table.tHead.rows[0].cells].forEach((header, column) => sortable(header, (sign) => {
      const body = table.tBodies[0];
      const keyed = [...body.rows].map((row) => [key(row.cells[column].textContent), row]);
      keyed.sort((a, b) => sign * compare(a[0], b[0]));
      body.append(...keyed.map(([, row]) => row));
    }));
  }

  // ---- runs

  const PAGE = 50;
  let records = null, order = [], page = 0;
  const columns = [
    ["problem", (r) => common.problems[r.p]],
    ["optimizer", (r) => common.optimizers[r.o]],
    ["seed", (r) => r.seed],
    ["outcome", (r) => r.outcome],
    ["final loss", (r) => (r.loss === null || r.outcome !== "completed" ? Infinity : r.loss)],
    ["accuracy", (r) => (r.accuracy === null ? "–" : r.accuracy)],
    ["gradient evaluations", (r) => r.evaluations],
    ["time (s)", (r) => r.seconds],
    ["steps", (r) => (r.steps === null ? "–" : r.steps)],
  ];

  function selected() {
    return order.filter((i) => showsProblem(records[i].p) && showsOptimizer(records[i].o));
  }

  function listRuns() {
    const chosen = selected();
    const pages = Math.max(1, Math.ceil(chosen.length / PAGE));
    page = Math.min(page, pages - 1);
    const body = document.querySelector("#run-table tbody");
    body.replaceChildren(...chosen.slice(page * PAGE, (page + 1) * PAGE).map((i) => {
      const record = records[i];
      const open = make("a", { href: `#run=${i}` }, common.problems[record.p]);
      const row = make("tr", {}, make("td", {}, open));
      for (const [name, value] of columns.slice(1)) {
        const v = value(record);
        const text = typeof v !== "number" ? v : v === Infinity ? "∞" : name === "seed" ? String(v) : format(v);
        row.append(make("td", typeof v === "string" && v !== "–" ? { class: "name" } : {}, text));
      }
      return row;
    }));
    document.getElementById("run-count").textContent = `${chosen.length} runs, page ${page + 1} of ${pages}.`;
    document.getElementById("previous").disabled = page === 0;
    document.getElementById("next").disabled = page === pages - 1;
  }

  function loadRuns() {
    if (records) return;
    records = parse(document.getElementById("records"));
    order = records.map((_, i) => i);
    const head = document.querySelector("#run-table thead tr");
    for (const [name, value] of columns) {
      const header = make("th", { scope: "col" }, name);
      head.append(header);
      sortable(header, (sign) => {
        order.sort((a, b) => sign * compare(value(records[a]), value(records[b])) || a - b);
        page = 0;
        listRuns();
      });
    }
    listRuns();
  }

  for (const [id, step] of [["previous", -1], ["next", 1]])
    document.getElementById(id).addEventListener("click", () => { page += step; listRuns(); });
  new IntersectionObserver((entries, self) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    self.disconnect();
    loadRuns();
  }, { rootMargin: "600px" }).observe(document.getElementById("run-table").closest("section"));

  // The settings of a run's optimizer on its problem.
  function settings(record) {
    const own = common.settings[record.o].find(([, problems]) => !problems.length || problems.includes(common.problems[record.p]));
    return own ? own[0] : "unknown";
  }

  const dialog = document.getElementById("run");
  function openRun() {
    const match = location.hash.match(/^#run=(\d+)$/);
    if (!match) return;
    loadRuns();
    const record = records[Number(match[1])];
    if (!record) return;
    const label = `${common.optimizers[record.o]} on ${common.problems[record.p]}, seed ${record.seed}`;
    document.getElementById("run-title").textContent = label;
    const facts = [
      ["Problem", `${common.titles[record.p]} (${common.problem_settings[record.p]})`],
      ["Settings", settings(record)],
      ["Outcome", record.outcome],
      ["Reason to stop", record.reason],
      ["Cost", `${format(record.evaluations)} gradient evaluations, ${format(record.extra)} of the loss alone, ${format(record.seconds)} s`],
      ["Steps", record.steps === null ? "none measured" : `${format(record.steps)} steps, ${format(record.epochs)} epochs`],
      ["Last loss", format(record.loss)],
    ];
    if (record.accuracy !== null) facts.push(["Last test accuracy", format(record.accuracy)]);
    facts.push(["Curvature pairs", `${format(record.pairs[0])} stored, ${format(record.pairs[1])} skipped, ${format(record.pairs[2])} damped`]);
    facts.push(["Changes of phase", record.switches.length
      ? record.switches.slice(0, 20).map(([step, epoch, evaluations, seconds, to]) =>
        `to ${to} at step ${format(step)} (epoch ${format(epoch)}, ${format(evaluations)} evaluations, ${format(seconds)} s)`).join("; ") +
        (record.switches.length > 20 ? `; and ${record.switches.length - 20} more` : "")
      : "none"]);
    const list = make("dl");
    for (const [name, value] of facts) list.append(make("dt", {}, name), make("dd", {}, value));
    const box = make("div", { class: "chart" });
    const criterion = make("div", { class: "chart" });
    document.getElementById("run-body").replaceChildren(list, box, criterion);
    if (!dialog.open) dialog.showModal();
    const [x, median] = record.curve;
    const log = median.some((v) => v > 0);
    chart(box, [{ x, median, low: median, high: median, runs: 1, seed: record.seed, style: record.o, label: common.optimizers[record.o], switch: record.switches[0]?.[2] ?? null }],
      { title: label, log, xLabel: "gradient evaluations", yLabel: "loss", target: null });
    if (!record.seen) return;
    const [asked, values, threshold] = record.seen;
    chart(criterion, [{ x: asked, median: values, low: values, high: values, runs: 1, seed: record.seed, style: record.o, label: `${common.criteria[record.o]}: what it saw`, switch: null }],
      { title: label, log: values.every((v) => v === null || v > 0) && threshold > 0, xLabel: "gradient evaluations", yLabel: common.criteria[record.o], target: threshold, targetName: "threshold" });
  }
  dialog.addEventListener("close", () => history.replaceState(null, "", location.pathname + location.search + "#runs"));
  addEventListener("hashchange", openRun);

  // ---- filters and window size

  function filter() {
    for (const section of sections) section.hidden = !showsProblem(common.problems.indexOf(section.dataset.problem));
    for (const row of document.querySelectorAll("tr[data-optimizer]")) row.hidden = !showsOptimizer(common.optimizers.indexOf(row.dataset.optimizer));
    for (const update of redraw) update();
    if (records) { page = 0; listRuns(); }
  }
  for (const box of document.querySelectorAll("[data-filter]"))
    box.addEventListener("change", () => {
      shown[box.dataset.filter][box.checked ? "add" : "delete"](box.value);
      filter();
    });
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    for (const update of redraw) update();
  });
  openRun();
})();
