// Shows a sweep while it runs: asks for its state once a second, and for the curves of problems that are near the window
// and have changed.
(() => {
  const EVERY = 1000;
  // Milliseconds between two sentences for screen readers.
  const SAID_EVERY = 15000;
  const at = (id) => document.getElementById(id);
  const token = location.pathname.split("/")[1];
  const phases = {
    preparing: "preparing", running: "running", reporting: "writing the report", stopped: "stopped", done: "done",
    failed: "ended with an error",
  };
  let sweep = 0, logged = 0, phase = "", sections = [], said = 0, listed = "[]";

  async function json(path) {
    const answer = await fetch(path);
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
  }

  // Seconds as people say them.
  function duration(seconds) {
    const whole = Math.round(seconds);
    const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
    if (hours) return `${hours} h ${minutes} min`;
    return minutes ? `${minutes} min ${whole % 60} s` : `${whole} s`;
  }

  function write(id, text) {
    if (at(id).textContent !== text) at(id).textContent = text;
  }

  // What went wrong, in place of nothing.
  function tell(message) {
    write("message", message ?? "");
    at("message").hidden = !message;
  }

  // ---- the problems of a sweep, each with room for its curves

  const nearby = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const section = sections.find((own) => own.element === entry.target);
      if (section) section.near = entry.isIntersecting;
    }
  }, { rootMargin: "300px" });

  async function lay() {
    const outline = await json("outline");
    write("name", outline.name);
    write("description", outline.description);
    nearby.disconnect();
    sections = outline.problems.map((problem, index) => {
      const heading = make("h3", { id: `problem-${index}` }, problem.title);
      const count = make("span"), legend = make("p", { class: "legend" }), box = make("div", { class: "chart" });
      for (const own of problem.optimizers.map((i) => outline.optimizers[i])) {
        const entry = make("span");
        swatch(entry, own);
        entry.append(own.label);
        legend.append(entry);
      }
      const about = make("p", { class: "small" }, count, ` ${problem.goal}`);
      const element = make("section", { "aria-labelledby": heading.id }, heading, about, legend, make("figure", {}, box));
      return { element, count, box, outline, index, drawn: 0, near: false };
    });
    at("problems").replaceChildren(...sections.map((own) => own.element));
    sections.forEach((own) => nearby.observe(own.element));
  }

  // Draws the curves that a problem has by now; not while its values are being read.
  async function redraw(section, revision) {
    if (section.box.querySelector(".tip:not([hidden])")) return;
    const { series, ...options } = await json(`curves/${section.index}`);
    section.drawn = revision;
    if (!series.length) return section.box.replaceChildren(make("p", { class: "small" }, "No run has begun."));
    const curves = series.map(({ optimizer, ...curve }) => ({ ...section.outline.optimizers[optimizer], ...curve }));
    charts(section.box, curves, { ...options, most: section.outline.most });
  }

  // ---- the state

  function progress(state) {
    const { planned, ended } = state;
    at("bar").value = state.share;
    write("phase", state.stopping ? "stopping" : phases[state.phase]);
    write("runs", planned ? `${ended} of ${planned}` : "–");
    write("passed", duration(state.seconds));
    write("left", state.left === null ? "–" : state.left < 1 ? "under 1 s" : `about ${duration(state.left)}`);
    write("failed", String(state.failed));
    write("diverged", String(state.diverged));
    document.title = `${planned ? `${ended}/${planned} ` : ""}${at("name").textContent}`;
    const working = ["preparing", "running", "reporting"].includes(state.phase);
    at("stop").disabled = !working || state.stopping;
    at("continue").disabled = working || !state.can_continue;
    at("report").style.visibility = state.report === null ? "hidden" : "visible";
    if (state.report !== null) at("report").href = state.report;
    tell(state.message);
    underWay(state.under_way);
    const now = Date.now();
    if (phase === at("phase").textContent && now - said < SAID_EVERY) return;
    [phase, said] = [at("phase").textContent, now];
    write("said", `${phase}: ${ended} of ${planned} runs, ${state.failed} failed, ${state.diverged} diverged`);
  }

  // The runs under way, each with a link to its curves. Lines stay, so that a link keeps the focus.
  function underWay(runs) {
    const list = at("under-way");
    while (list.children.length > Math.max(1, runs.length)) list.lastChild.remove();
    while (list.children.length < Math.max(1, runs.length)) list.append(make("li", {}, make("a"), make("span")));
    [...list.children].forEach(({ children: [link, share] }, i) => {
      const run = runs[i];
      link.textContent = run?.run ?? "";
      run ? link.setAttribute("href", `#problem-${run.problem}`) : link.removeAttribute("href");
      share.textContent = run ? `: ${Math.floor(100 * run.share)} %` : "No run is under way.";
    });
  }

  function troubles(state) {
    const text = JSON.stringify(state.troubles);
    if (text === listed) return;
    listed = text;
    const rows = state.troubles.map(({ run, outcome, reason }) =>
      make("tr", {}, make("td", {}, run), make("td", {}, outcome), make("td", {}, reason)));
    if (!rows.length) rows.push(make("tr", {}, make("td", { colspan: 3 }, "None so far.")));
    at("trouble-rows").replaceChildren(...rows);
  }

  // The newest line is the first.
  function log(lines) {
    for (const { number, text } of lines) {
      at("log").prepend(make("li", { value: number }, text));
      logged = number;
    }
    while (at("log").children.length > 500) at("log").lastChild.remove();
  }

  async function ask() {
    try {
      const state = await json(`state/${logged}`);
      if (state.sweep && state.sweep !== sweep) {
        await lay();
        sweep = state.sweep;
      }
      progress(state);
      troubles(state);
      log(state.log);
      for (const section of sections) {
        const { revision, ended, planned } = state.problems[section.index];
        section.count.textContent = `${ended} of ${planned} runs.`;
        if (section.near && section.drawn !== revision) await redraw(section, revision);
      }
    } catch (error) {
      write("phase", "no answer");
      tell(`The program does not answer; it may have ended. ${error.message}`);
      for (const id of ["stop", "continue"]) at(id).disabled = true;
    }
    setTimeout(ask, EVERY);
  }

  for (const id of ["stop", "continue"])
    at(id).addEventListener("click", async () => {
      at(id).disabled = true;
      const answer = await fetch(id, { method: "POST", headers: { "X-Token": token } }).catch((error) => ({ ok: false, text: () => error.message }));
      if (!answer.ok) tell(await answer.text());
    });
  ask();
})();
