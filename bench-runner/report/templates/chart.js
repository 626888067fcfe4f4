"use strict";
// Charts of curves as SVG, with values at the pointer, zoom and pan. `chart(box, series, options)` draws one into `box`,
// `charts` as many as it takes to tell the curves apart.
const { chart, charts, swatch, make, format } = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const GREY = "#c4c4c4";
  // The part of the x axis that a box shows, and of which axis.
  const views = new WeakMap();
  let serial = 0;

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

  // Whole numbers in full, others to three significant digits.
  function format(value) {
    if (value === null || value === undefined) return "∞";
    const size = Math.abs(value);
    if (Number.isInteger(value) && size < 1e6) return value.toLocaleString("en");
    if (size < 1e-3 || size >= 1e6) return value.toExponential(2).replace("e+", "e");
    return value.toLocaleString("en", { maximumSignificantDigits: 3 });
  }

  // A tick's label: round numbers without trailing zeros, and with the digits that tell neighbours apart.
  function tick(value) {
    const size = Math.abs(value);
    if (size >= 1e-3 && size < 1e6) return value.toLocaleString("en", { maximumSignificantDigits: 5 });
    return format(value).replace(/\.?0+e/, "e");
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
    const ticks = [];
    if (last - first < 2) {
      for (let e = first - 1; e <= last; e++)
        for (const f of [1, 2, 5]) ticks.push(f * 10 ** e);
      return ticks.filter((t) => t >= low && t <= high);
    }
    const stride = Math.ceil((last - first + 1) / 7);
    for (let e = first; e <= last; e++) if (e % stride === 0) ticks.push(Number(`1e${e}`));
    return ticks;
  }

  // The axis that shows `values`, or exactly the range from `ends[0]` to `ends[1]`.
  function axis(values, log, ends) {
    const holds = (v) => v !== null && Number.isFinite(v) && (!log || v > 0);
    const usable = values.filter(holds);
    let [low, high] = ends ?? [Math.min(...usable), Math.max(...usable)];
    if (!ends && !usable.length) [low, high] = log ? [0.1, 10] : [0, 1];
    if (!ends && log) {
      const margin = Math.max(0.04 * Math.log10(high / low), 0.02);
      [low, high] = [low / 10 ** margin, high * 10 ** margin];
    } else if (!ends) {
      if (low === high) [low, high] = [low - 0.5, high + 0.5];
      const margin = 0.04 * (high - low);
      [low, high] = [low >= 0 && low < 0.2 * high ? 0 : low - margin, high + margin];
    }
    const [through, back] = log ? [Math.log, Math.exp] : [(v) => v, (v) => v];
    const [a, b] = [through(low), through(high)];
    return {
      holds,
      share: (v) => (through(v) - a) / (b - a),
      at: (share) => back(a + share * (b - a)),
      ticks: log ? logTicks(low, high) : linearTicks(low, high),
    };
  }

  // ---- charts

  // Draws series [{ label, color, dash, x, median, low, high, runs, seed, switch, steps, muted }] into `box`.
  function chart(box, series, options) {
    const kept = views.get(box);
    const view = kept?.xLabel === options.xLabel ? kept.range : null;
    const look = (range) => {
      range ? views.set(box, { range, xLabel: options.xLabel }) : views.delete(box);
      chart(box, series, options);
    };
    const own = series.filter((s) => !s.muted);
    const width = Math.max(300, Math.min(box.clientWidth || 760, 820));
    const height = Math.min(420, 0.6 * width + 80);
    const longest = Math.max(0, ...own.map((s) => s.label.length));
    const named = options.named || (width > 600 && own.length <= 8);
    const plot = { left: 78, right: width - (named ? 20 + 7 * longest : 14), top: 24, bottom: height - 48 };
    const start = Math.max(...series.map((s) => s.median[0] ?? -Infinity));
    // Curves that diverge must not flatten the others.
    const cap = options.log && start > 0 ? 1e3 * start : Infinity;
    const x = axis(series.flatMap((s) => s.x), options.xLog, view);
    const inView = (s, i) => !view || (s.x[Math.min(i + 1, s.x.length - 1)] >= view[0] && s.x[Math.max(i - 1, 0)] <= view[1]);
    const heights = series.flatMap((s) => s.median.concat(s.low).filter((_, i) => inView(s, i % s.x.length)));
    const y = axis(heights.map((v) => (v === null ? v : Math.min(v, cap))).concat(options.target ?? []), options.log);
    const px = (v) => plot.left + x.share(v) * (plot.right - plot.left);
    const py = (v) => {
      const share = v === null ? 1 : y.holds(v) ? y.share(v) : 0;
      return plot.bottom - Math.min(1, Math.max(0, share)) * (plot.bottom - plot.top);
    };
    const fixed = (v) => v.toFixed(1);
    const svg = draw(document.createDocumentFragment(), "svg", {
      viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: 0,
      "aria-label": `${options.title}: ${options.yLabel} against ${options.xLabel}. ` +
        own.map((s) => `${s.label} ends at ${format(s.median.at(-1))}`).join(", "),
    });
    box.replaceChildren(svg);
    for (const t of y.ticks) {
      draw(svg, "line", { x1: plot.left, x2: plot.right, y1: py(t), y2: py(t), stroke: "#e2e2e2" });
      draw(svg, "text", { x: plot.left - 8, y: py(t) + 4, "text-anchor": "end" }, tick(t));
    }
    for (const t of x.ticks) {
      draw(svg, "line", { x1: px(t), x2: px(t), y1: plot.top, y2: plot.bottom, stroke: "#e2e2e2" });
      draw(svg, "text", { x: px(t), y: plot.bottom + 18, "text-anchor": "middle" }, tick(t));
    }
    draw(svg, "path", { d: `M${plot.left} ${plot.top}V${plot.bottom}H${plot.right}`, fill: "none", stroke: "#666" });
    const [center, middle] = [(plot.left + plot.right) / 2, (plot.top + plot.bottom) / 2];
    if (options.heading) draw(svg, "text", { x: plot.left, y: 15, class: "heading" }, options.heading);
    draw(svg, "text", { x: center, y: height - 8, "text-anchor": "middle" }, options.xLabel);
    draw(svg, "text", { x: 14, y: middle, "text-anchor": "middle", transform: `rotate(-90 14 ${middle})` }, options.yLabel);
    if (options.target !== null) {
      draw(svg, "line", { x1: plot.left, x2: plot.right, y1: py(options.target), y2: py(options.target), stroke: "#666", "stroke-dasharray": "3 3" });
      draw(svg, "text", { x: plot.right - 6, y: py(options.target) - 5, "text-anchor": "end" }, `${options.targetName ?? "target"} ${options.targetText ?? tick(options.target)}`);
    }
    if (!own.some((s) => s.median.some(y.holds)))
      draw(svg, "text", { x: center, y: middle, "text-anchor": "middle" }, "no curve to show");
    const clip = `clip-${serial++}`;
    draw(draw(svg, "clipPath", { id: clip }), "rect", { x: plot.left, y: plot.top - 6, width: plot.right - plot.left, height: plot.bottom - plot.top + 12 });
    const curves = draw(draw(svg, "g", { "clip-path": `url(#${clip})` }), "g", {});
    for (const s of own) {
      const edge = (values) => s.x.map((v, i) => `${fixed(px(v))} ${fixed(py(values[i]))}`);
      if (s.runs > 1 && s.x.length > 1)
        draw(curves, "path", { d: `M${edge(s.high).concat(edge(s.low).reverse()).join("L")}Z`, fill: s.color, "fill-opacity": 0.15 });
    }
    for (const s of [...series.filter((s) => s.muted), ...own]) {
      const drawn = (i) => i >= 0 && y.holds(s.median[i]) && s.median[i] <= cap;
      let path = "";
      s.x.forEach((v, i) => {
        const [left, top] = [fixed(px(v)), fixed(py(s.median[i]))];
        if (drawn(i)) path += !drawn(i - 1) ? `M${left} ${top}` : s.steps ? `H${left}V${top}` : `L${left} ${top}`;
      });
      const stroke = s.muted ? { stroke: GREY, "stroke-width": 1 } : { stroke: s.color, "stroke-width": 2, "stroke-dasharray": s.dash };
      draw(curves, "path", { d: path || "M0 0", fill: "none", ...stroke });
      // The diamond lies on the line as it is drawn, straight between two points.
      const after = s.x.findIndex((v) => s.switch !== null && v >= s.switch);
      const before = s.x[after] === s.switch ? after : after - 1;
      if (!s.muted && drawn(after) && drawn(before)) {
        const share = before === after ? 0 : (s.switch - s.x[before]) / (s.x[after] - s.x[before]);
        const [low, high] = [py(s.median[before]), py(s.median[after])];
        const [cx, cy] = [px(s.switch), low + share * (high - low)];
        draw(curves, "path", { d: `M${cx} ${cy - 6}l6 6l-6 6l-6 -6Z`, fill: "#fff", stroke: s.color, "stroke-width": 2 });
      }
    }
    if (named) names(svg, own, { px, py, y, plot, cap, view });
    const frame = { x, px, plot, width, view, look, curves };
    const show = tooltip(box, svg, own, frame, options);
    zoom(box, svg, frame, show);
  }

  // The names of curves beside their ends, none over another.
  function names(svg, series, { px, py, y, plot, cap, view }) {
    const ends = series.map((s) => {
      const last = s.x.findLastIndex((v, i) => (!view || v <= view[1]) && y.holds(s.median[i]) && s.median[i] <= cap);
      return { s, at: py(s.median[last] ?? null), x: px(s.x[last]) };
    }).filter(({ x }) => x >= plot.left).sort((a, b) => a.at - b.at);
    let free = plot.top;
    ends.forEach((end, i) => {
      const limit = plot.bottom - 15 * (ends.length - 1 - i);
      end.top = Math.min(Math.max(end.at, free), limit);
      free = end.top + 15;
      draw(svg, "path", { d: `M${end.x} ${end.at}L${plot.right + 10} ${end.top}`, stroke: end.s.color, "stroke-opacity": 0.4 });
      draw(svg, "text", { x: plot.right + 13, y: end.top + 4 }, end.s.label);
    });
  }

  // Shows the values at a place of the x axis, lowest first; returns what shows the next or the last place.
  function tooltip(box, svg, series, { px, plot, width, view }, options) {
    const inView = (v) => !view || (v >= view[0] && v <= view[1]);
    const places = [...new Set(series.flatMap((s) => s.x))].filter(inView).sort((a, b) => a - b);
    const rule = draw(svg, "line", { y1: plot.top, y2: plot.bottom, stroke: "#222", visibility: "hidden" });
    const tip = make("div", { class: "tip", "aria-live": "polite", hidden: "" });
    box.append(tip);
    let current = -1;
    function show(index) {
      if (!places.length) return;
      current = Math.min(places.length - 1, Math.max(0, index));
      const at = places[current];
      for (const end of ["x1", "x2"]) rule.setAttribute(end, px(at));
      rule.setAttribute("visibility", "visible");
      const seen = series.map((s) => [s, s.x.findLastIndex((v) => v <= at)]).filter(([, i]) => i >= 0);
      seen.sort(([a, i], [b, j]) => (a.median[i] ?? Infinity) - (b.median[j] ?? Infinity));
      const rows = seen.map(([s, i]) => {
        const range = s.steps ? "" : s.runs > 1 ? ` [${format(s.low[i])}, ${format(s.high[i])}], ${s.runs} runs` : `, seed ${s.seed ?? "single"}`;
        const swatch = make("td", {}, "■");
        swatch.style.color = s.color;
        return make("tr", {}, swatch, make("td", {}, s.label), make("td", {}, format(s.median[i]) + range));
      });
      tip.replaceChildren(make("div", {}, `${options.xLabel}: ${format(at)}`), make("table", {}, make("tbody", {}, ...rows)));
      tip.hidden = false;
      // Beside the place, on the side with more room, and within the chart.
      const scale = svg.clientWidth / width || 1;
      const left = px(at) * scale;
      const beside = left > box.clientWidth / 2 ? left - tip.offsetWidth - 12 : left + 12;
      tip.style.left = `${Math.max(0, Math.min(beside, box.clientWidth - tip.offsetWidth))}px`;
      tip.style.top = `${Math.max(0, Math.min(plot.top * scale, svg.clientHeight - tip.offsetHeight))}px`;
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
    svg.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
    return (step) => show(current < 0 ? 0 : current + step);
  }

  // Dragging over a part of the x axis zooms into it, with shift it moves the axis; keys do both.
  function zoom(box, svg, { x, plot, width, view, look, curves }, show) {
    const part = (low, high) => look([x.at(low), x.at(high)]);
    const share = (event) => {
      const at = ((event.clientX - svg.getBoundingClientRect().left) * width) / svg.clientWidth;
      return (at - plot.left) / (plot.right - plot.left);
    };
    const across = (s) => s * (plot.right - plot.left);
    if (view) {
      const reset = make("button", { type: "button", class: "reset" }, "Reset zoom");
      reset.addEventListener("click", () => look(null));
      box.append(reset);
    }
    let from = null, selected = null;
    svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      from = Math.min(1, Math.max(0, share(event)));
      svg.setPointerCapture(event.pointerId);
    });
    svg.addEventListener("pointermove", (event) => {
      if (from === null) return;
      const to = share(event);
      if (event.shiftKey) return curves.setAttribute("transform", `translate(${across(to - from)})`);
      selected ??= draw(svg, "rect", { y: plot.top, height: plot.bottom - plot.top, class: "selected" });
      selected.setAttribute("x", plot.left + across(Math.min(from, to)));
      selected.setAttribute("width", across(Math.abs(to - from)));
    });
    svg.addEventListener("pointerup", (event) => {
      if (from === null) return;
      const [low, high] = [from, Math.min(1, Math.max(0, share(event)))].sort((a, b) => a - b);
      const moved = share(event) - from;
      from = null;
      if (Math.abs(moved) < 0.02) selected?.remove();
      else event.shiftKey ? part(-moved, 1 - moved) : part(low, high);
    });
    svg.addEventListener("pointercancel", () => { from = null; selected?.remove(); });
    svg.addEventListener("dblclick", () => look(null));
    svg.addEventListener("keydown", (event) => {
      const side = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const act = {
        "+": () => part(0.25, 0.75), "-": () => part(-0.5, 1.5), 0: () => look(null),
      }[event.key] ?? (side && (event.shiftKey ? () => part(side / 4, 1 + side / 4) : () => show(side)));
      if (!act) return;
      event.preventDefault();
      act();
      box.querySelector("svg").focus();
    });
  }

  // One chart, or of more than `options.most` curves one for each family with the others in grey.
  function charts(box, curves, options) {
    const families = [...new Set(curves.map((s) => s.family))].sort((a, b) => (a === "others") - (b === "others"));
    const several = curves.length > options.most && families.length > 1;
    box.classList.toggle("multiples", several);
    if (!several) return chart(box, curves, options);
    const boxes = families.map((_, i) => box.querySelectorAll(".chart")[i] ?? make("div", { class: "chart" }));
    box.replaceChildren(...boxes);
    families.forEach((family, i) =>
      chart(boxes[i], curves.map((s) => ({ ...s, muted: s.family !== family })), { ...options, heading: family }));
  }

  // A piece of a series's line, for legends.
  function swatch(parent, { color, dash }) {
    const sample = draw(parent, "svg", { width: 26, height: 10, "aria-hidden": "true" });
    draw(sample, "line", { x1: 0, x2: 26, y1: 5, y2: 5, stroke: color, "stroke-width": 3, "stroke-dasharray": dash });
  }

  return { chart, charts, swatch, make, format };
})();
