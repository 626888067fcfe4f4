// Makes the static report interactive: filters, live figures, sorting, runs. What is seen is kept in the address.
(() => {
  const parse = (element) => JSON.parse(element.textContent);
  const common = parse(document.getElementById("common"));
  const sections = [...document.querySelectorAll("section[data-problem]")];

  // ---- the view: what is hidden, each figure's choices, the open run and the place in the page

  const hidden = { problem: new Set(), optimizer: new Set(), criterion: new Set(), arm: new Set() };
  const choices = new Map();
  let run = null, place = "", written = "";
  const showsOptimizer = (i) => !hidden.optimizer.has(common.optimizers[i]) && !hidden.criterion.has(common.criteria[i]);
  const showsProblem = (i) => !hidden.problem.has(common.problems[i]) && !hidden.arm.has(common.arms[i]);

  function remember() {
    const view = new URLSearchParams();
    for (const [kind, labels] of Object.entries(hidden)) for (const label of labels) view.append(`no-${kind}`, label);
    for (const [problem, chosen] of choices) view.append("figure", JSON.stringify([problem, chosen]));
    if (run !== null) view.set("run", run);
    if (view.size && place) view.set("at", place);
    const text = view.size ? String(view) : encodeURIComponent(place);
    history.replaceState(null, "", text ? `#${text}` : location.href.split("#")[0]);
    written = location.hash;
  }

  // A figure's choices; of an address that was cut short, none.
  function parsed(text) {
    try { return JSON.parse(text); } catch { return []; }
  }

  // A link to a place or to a run changes that alone, any other address the whole view.
  function recall() {
    const text = location.hash.slice(1);
    const view = new URLSearchParams(text);
    if (!text.includes("=")) {
      place = decodeURIComponent(text);
      run = null;
    } else if (/^run=\d+$/.test(text)) {
      run = Number(view.get("run"));
    } else {
      for (const [kind, labels] of Object.entries(hidden)) {
        labels.clear();
        for (const label of view.getAll(`no-${kind}`)) labels.add(label);
      }
      choices.clear();
      for (const figure of view.getAll("figure")) choices.set(...parsed(figure));
      run = view.has("run") ? Number(view.get("run")) : null;
      place = view.get("at") ?? "";
      document.getElementById(place)?.scrollIntoView();
    }
    for (const box of document.querySelectorAll("[data-filter]")) box.checked = !hidden[box.dataset.filter].has(box.value);
    filter();
    run === null ? dialog.close() : openRun();
    remember();
  }

  // ---- figures

  const series = (i) => {
    const [on, off] = common.dashes[common.styles[i] % common.dashes.length];
    return {
      optimizer: i, label: common.optimizers[i], family: common.families[i],
      color: common.palette[common.styles[i] % common.palette.length], dash: off ? `${on} ${off}` : "none",
    };
  };

  const redraw = [];
  function figure(section) {
    const data = parse(section.querySelector("script.curves"));
    const problem = section.dataset.problem;
    const control = (name) => section.querySelector(`[data-control="${name}"]`);
    const metric = control("metric"), axis = control("axis"), log = control("log");
    if (!metric) return;
    metric.append(...data.metrics.map((m) => make("option", { value: m.name }, m.label)));
    axis.append(...common.axes.map((a) => make("option", { value: a.name }, a.label)));
    const usual = { metric: metric.value, axis: axis.value, log: data.metrics[0]?.log ?? false, hidden: [] };
    const own = { ...usual };
    const legend = section.querySelector(".legend"), box = section.querySelector(".chart");
    const curves = data.metrics[0]?.series ?? [];
    const drawn = curves.filter((s) => !s.equals).map((s) => series(s.optimizer));

    function update() {
      Object.assign(own, usual, choices.get(problem));
      const m = data.metrics.find((m) => m.name === own.metric) ?? data.metrics[0];
      const a = Math.max(0, common.axes.findIndex((a) => a.name === own.axis));
      if (!m) return;
      [metric.value, axis.value, log.checked] = [m.name, common.axes[a].name, own.log];
      for (const button of legend.querySelectorAll("[data-label]")) {
        button.hidden = !showsOptimizer(Number(button.value));
        button.setAttribute("aria-pressed", !own.hidden.includes(button.dataset.label));
      }
      const shown = m.series.filter((s) => !s.equals && showsOptimizer(s.optimizer) && !own.hidden.includes(common.optimizers[s.optimizer]));
      charts(box, shown.map((s) => ({ ...s.axes[a], runs: s.runs, ...series(s.optimizer) })), {
        title: data.title, log: own.log, xLabel: common.axes[a].label, yLabel: m.label, target: m.target, targetText: m.targetText, most: common.most,
      });
    }
    function choose(change) {
      Object.assign(own, change);
      const changed = Object.entries(own).filter(([key, value]) => String(value) !== String(usual[key]));
      changed.length ? choices.set(problem, Object.fromEntries(changed)) : choices.delete(problem);
      remember();
      update();
    }

    for (const s of drawn) {
      const button = make("button", { type: "button", value: s.optimizer, "data-label": s.label });
      swatch(button, s);
      button.append(s.label);
      button.addEventListener("click", (event) => {
        const others = drawn.map((other) => other.label).filter((label) => label !== s.label);
        if (event.shiftKey || event.detail === 2) return choose({ hidden: others });
        const rest = own.hidden.filter((label) => label !== s.label);
        choose({ hidden: rest.length < own.hidden.length ? rest : [...rest, s.label] });
      });
      legend.append(button);
    }
    for (const [name, none] of [["All", []], ["None", drawn.map((s) => s.label)]]) {
      const button = make("button", { type: "button", class: "every" }, name);
      button.addEventListener("click", () => choose({ hidden: none }));
      legend.append(button);
    }
    for (const s of curves.filter((s) => s.equals))
      legend.append(make("span", { class: "equal" }, `${common.optimizers[s.optimizer]} never switched: is ${s.equals}`));
    metric.addEventListener("change", () => choose({ metric: metric.value, log: data.metrics.find((m) => m.name === metric.value).log }));
    axis.addEventListener("change", () => choose({ axis: axis.value }));
    log.addEventListener("change", () => choose({ log: log.checked }));
    whenNear(box, () => {
      redraw.push(update);
      update();
    });
  }

  // Calls `made` when an element comes near the window, so that a page of many figures opens at once.
  function whenNear(element, made) {
    new IntersectionObserver((entries, self) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      self.disconnect();
      made(element);
    }, { rootMargin: "600px" }).observe(element);
  }

  // ---- ranks and the performance profile over what is shown

  function shownMedians() {
    const problems = common.medians.map((all, p) => ({ hasTarget: common.has_target[p], shown: showsProblem(p), all }));
    return problems.filter((own) => own.shown).map((own) => ({
      hasTarget: own.hasTarget,
      all: own.all.filter(([o]) => showsOptimizer(o)).map(([o, loss, cost]) => ({ o, loss: loss ?? Infinity, cost: Math.max(1, cost ?? Infinity) })),
    }));
  }

  function rank() {
    const ranks = new Map();
    for (const { all } of shownMedians())
      for (const { o, loss } of all) {
        const better = all.filter((other) => other.loss < loss).length;
        const equal = all.filter((other) => other.loss === loss).length;
        ranks.set(o, [...(ranks.get(o) ?? []), better + (equal + 1) / 2]);
      }
    const columns = {
      "mean rank by final loss": (own) => (own.reduce((a, b) => a + b) / own.length).toFixed(2),
      problems: (own) => own.length,
      "lowest loss on": (own) => own.filter((rank) => rank === 1).length,
    };
    const table = document.querySelector("#overview table");
    const headers = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
    for (const row of table.tBodies[0].rows) {
      const own = ranks.get(common.optimizers.indexOf(row.dataset.optimizer));
      for (const [name, text] of Object.entries(columns)) row.cells[headers.indexOf(name)].textContent = own ? text(own) : "–";
    }
    document.getElementById("partial").hidden = Object.values(hidden).every((labels) => !labels.size);
  }

  function profile(figure) {
    const update = () => {
      const problems = shownMedians().filter((own) => own.hasTarget);
      const ratios = new Map();
      for (const { all } of problems) {
        const best = Math.min(...all.map((own) => own.cost));
        for (const { o, cost } of all) ratios.set(o, [...(ratios.get(o) ?? []), best < Infinity ? cost / best : Infinity]);
      }
      const end = 1.3 * Math.max(2, ...[...ratios.values()].flat().filter(Number.isFinite));
      const curves = [...ratios].map(([o, own]) => {
        const x = [1, ...new Set(own.filter((r) => r > 1 && r < Infinity).sort((a, b) => a - b)), end];
        const median = x.map((at) => own.filter((r) => r <= at).length / problems.length);
        return { ...series(o), x, median, low: median, high: median, runs: 1, switch: null, steps: true };
      });
      charts(figure.querySelector(".chart"), curves, {
        title: "Performance profile", named: true, xLog: true, log: false, target: null, most: common.most,
        xLabel: "τ, cost relative to the best", yLabel: `share of ${problems.length} problems`,
      });
    };
    redraw.push(update);
    update();
  }

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
    const button = make("button", { type: "button" }, header.textContent);
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
  const selected = () => order.filter((i) => showsProblem(records[i].p) && showsOptimizer(records[i].o));

  function listRuns() {
    const chosen = selected();
    const pages = Math.max(1, Math.ceil(chosen.length / PAGE));
    page = Math.min(page, pages - 1);
    const body = document.querySelector("#run-table tbody");
    body.replaceChildren(...chosen.slice(page * PAGE, (page + 1) * PAGE).map((i) => {
      const record = records[i];
      const row = make("tr", {}, make("td", {}, make("a", { href: `#run=${i}` }, common.problems[record.p])));
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

  // The settings of a run's optimizer on its problem that differ from the defaults.
  function settings(record) {
    const own = common.settings[record.o].find(([, problems]) => !problems.length || problems.includes(common.problems[record.p]));
    return own ? own[0] : "unknown";
  }

  // The folder of this page, for a command.
  const folder = () => decodeURIComponent(location.pathname).replace(/\/[^/]*$/, "") || ".";

  // A number that an imported run may lack.
  const told = (value) => value === null ? "unknown" : format(value);

  function facts(record) {
    const all = [
      ["Problem", `${common.titles[record.p]} (${common.problem_settings[record.p]})`],
      ["Settings that differ from the defaults", settings(record)],
      ["Outcome", `${record.outcome}: ${record.reason}`],
      ["Cost", `${format(record.evaluations)} gradient evaluations, ${format(record.extra)} of the loss alone, ${told(record.seconds)} s`],
      ["Steps", record.steps === null ? "not known" : `${format(record.steps)} steps, ${told(record.epochs)} epochs`],
      ["Last loss", format(record.loss)],
    ];
    if (record.accuracy !== null) all.push(["Last test accuracy", format(record.accuracy)]);
    if (record.digest === null) {
      all.push(["Made by", "another program: counts and times are what its file says"]);
      return all;
    }
    all.push(["Curvature pairs", `${format(record.pairs[0])} stored, ${format(record.pairs[1])} skipped, ${format(record.pairs[2])} damped`]);
    const changes = record.switches.slice(0, 20).map(([step, epoch, evaluations, seconds, to]) =>
      `to ${to} at step ${format(step)} (epoch ${format(epoch)}, ${format(evaluations)} evaluations, ${format(seconds)} s)`);
    if (record.switches.length > 20) changes.push(`and ${record.switches.length - 20} more`);
    all.push(["Changes of phase", changes.join("; ") || "none"]);
    all.push(["Digest", make("code", {}, record.digest)]);
    all.push(["Make it again", make("code", {}, `bench-runner claims --replay ${record.digest} --from '${folder()}'`)]);
    return all;
  }

  const dialog = document.getElementById("run");
  function openRun() {
    loadRuns();
    const record = records[run];
    if (!record) return;
    const label = `${common.optimizers[record.o]} on ${common.problems[record.p]}, seed ${record.seed}`;
    document.getElementById("run-title").textContent = label;
    const list = make("dl");
    for (const [name, value] of facts(record)) list.append(make("dt", {}, name), make("dd", {}, value));
    const box = make("div", { class: "chart" }), criterion = make("div", { class: "chart" });
    document.getElementById("run-body").replaceChildren(list, box, ...(record.seen ? [criterion] : []));
    const all = selected();
    for (const [id, other] of [["earlier", all[all.indexOf(run) - 1]], ["later", all[all.indexOf(run) + 1]]]) {
      const button = document.getElementById(id);
      button.disabled = other === undefined;
      button.onclick = () => { run = other; openRun(); remember(); };
    }
    if (!dialog.open) dialog.showModal();
    const curve = ([x, median], more) => ({ ...series(record.o), x, median, low: median, high: median, runs: 1, seed: record.seed, switch: null, ...more });
    chart(box, [curve(record.curve, { switch: record.switches[0]?.[2] ?? null })],
      { title: label, log: record.curve[1].some((v) => v > 0), xLabel: "gradient evaluations", yLabel: "loss", target: null });
    if (!record.seen) return;
    const [asked, values, threshold] = record.seen;
    chart(criterion, [curve([asked, values], { label: `${common.criteria[record.o]}: what it saw` })],
      { title: label, log: values.every((v) => v === null || v > 0) && threshold > 0, xLabel: "gradient evaluations", yLabel: common.criteria[record.o], target: threshold, targetName: "threshold" });
  }
  dialog.addEventListener("close", () => {
    // The event comes late: by then the reader may have gone on to another run.
    if (dialog.open || location.hash !== written) return;
    run = null;
    remember();
  });

  // ---- filters and window size

  function filter() {
    for (const section of sections) section.hidden = !showsProblem(common.problems.indexOf(section.dataset.problem));
    for (const row of document.querySelectorAll("tr[data-optimizer]")) row.hidden = !showsOptimizer(common.optimizers.indexOf(row.dataset.optimizer));
    rank();
    for (const update of redraw) update();
    if (records) { page = 0; listRuns(); }
  }
  for (const box of document.querySelectorAll("[data-filter]"))
    box.addEventListener("change", () => {
      hidden[box.dataset.filter][box.checked ? "delete" : "add"](box.value);
      remember();
      filter();
    });
  for (const button of document.querySelectorAll("[data-every]"))
    button.addEventListener("click", () => {
      for (const box of button.closest("fieldset").querySelectorAll("[data-filter]")) {
        box.checked = button.dataset.every === "all";
        hidden[box.dataset.filter][box.checked ? "delete" : "add"](box.value);
      }
      remember();
      filter();
    });
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    for (const update of redraw) update();
  });
  // What is around the charts is there from the start, so that nothing moves; of very many, when they come near.
  for (const section of sections) sections.length > 40 ? whenNear(section, figure) : figure(section);
  for (const live of document.querySelectorAll("#profile")) whenNear(live, profile);
  whenNear(document.getElementById("run-table").closest("section"), loadRuns);
  addEventListener("hashchange", recall);
  recall();
})();
