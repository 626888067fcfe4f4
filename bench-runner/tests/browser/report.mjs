// Drives a report in headless Chromium through the DevTools protocol: the first screen, filters, axes, legend, zoom,
// sorting, tooltips, single runs, the view in the address, layout shifts, dark, print, a phone, and the page without
// JavaScript; and accessibility.
//
// node report.mjs CHROMIUM INDEX.HTML [SCREENSHOT-FOLDER]
//
// Exits 0 and prints "ok" when all checks pass.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { browse, check, evaluate, problems, send, shifts, shoot, until, violations, visit } from "./chromium.mjs";

const url = pathToFileURL(resolve(process.argv[3])).href;
const open = (width, height, script = true, view = "") => visit(url + view, width, height, script);

async function run() {
  // The first screen answers, without anything that moves later.
  await open(1280, 900);
  check(await evaluate("document.querySelector('.verdict').getBoundingClientRect().bottom < 200"), true, "the answer is under the title");
  check(await evaluate("document.querySelector('.leaderboard table').getBoundingClientRect().bottom < 900"), true, "the leaderboard is on the first screen");
  check(await evaluate("document.querySelectorAll('.leaderboard svg').length"), 1, "the forest plot");
  await shoot("first");
  const moved = await shifts();
  check(moved < 0.1, true, `layout shift of ${moved}`);
  check(await violations(), [], "violations that axe found");

  await open(1280, 900);
  await evaluate("document.querySelector('section[data-problem]').scrollIntoView()");
  await until("document.querySelector('section[data-problem] .chart svg')");
  const sections = await evaluate("document.querySelectorAll('section[data-problem]').length");
  const optimizers = await evaluate("document.querySelectorAll('[data-filter=optimizer]').length");
  const lines = "document.querySelectorAll('section[data-problem] .chart')[0].querySelectorAll('path[stroke-width=\"2\"][fill=none]').length";
  check(await evaluate(lines), optimizers, "curves in the first chart");
  check(await evaluate("getComputedStyle(document.querySelector('.static')).display"), "none", "static figure beside the interactive one");
  await shoot("desktop");

  // The target is written in full, and every diamond lies on the line of its colour.
  const drawn = () => evaluate(`(() => {
    const chart = document.querySelectorAll('section[data-problem] .chart')[0];
    const places = (path) => [...path.getAttribute('d').matchAll(/([ML])([-\\d.]+) ([-\\d.]+)/g)].map((m) => [m[1], +m[2], +m[3]]);
    const away = ([x, y], points) => Math.min(...points.map(([kind, bx, by], i) => {
      if (kind === 'M') return Math.hypot(x - bx, y - by);
      const [ax, ay] = points[i - 1].slice(1);
      const [dx, dy] = [bx - ax, by - ay];
      const t = Math.min(1, Math.max(0, ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1)));
      return Math.hypot(x - ax - t * dx, y - ay - t * dy);
    }));
    const all = [...chart.querySelectorAll('path[stroke-width="2"]')];
    const lines = all.filter((p) => p.getAttribute('fill') === 'none');
    const marks = all.filter((p) => p.getAttribute('fill') === '#fff');
    return {
      target: [...chart.querySelectorAll('text')].map((t) => t.textContent).find((t) => t.startsWith('target')),
      marks: marks.length,
      away: Math.max(...marks.map((mark) => {
        const [[, x, y]] = places(mark);
        return Math.min(...lines.filter((l) => l.getAttribute('stroke') === mark.getAttribute('stroke')).map((l) => away([x, y + 6], places(l))));
      })),
    };
  })()`);
  for (const log of ["log", "linear"]) {
    const seen = await drawn();
    check(seen.target, "target 2.345e-6", `target on the ${log} axis`);
    check(seen.marks, 3, `diamonds on the ${log} axis`);
    check(seen.away < 0.2, true, `diamonds lie on their curves on the ${log} axis: ${seen.away} px away`);
    await evaluate("document.querySelector('[data-control=log]').click()");
  }

  // Legend: a curve goes and comes back, and the button says so.
  const first = "document.querySelector('section[data-problem] .legend button')";
  await evaluate(`${first}.click()`);
  check(await evaluate(lines), optimizers - 1, "curves after hiding one");
  check(await evaluate(`${first}.getAttribute('aria-pressed')`), "false", "legend button's state");
  await evaluate(`${first}.click()`);
  check(await evaluate(lines), optimizers, "curves after showing it again");

  // One alone, all, none.
  const legendButton = (text) => `[...document.querySelectorAll('section[data-problem] .legend')[0].children].find((b) => b.textContent === '${text}')`;
  await evaluate(`${first}.dispatchEvent(new MouseEvent('click', { shiftKey: true }))`);
  check(await evaluate(lines), 1, "curves after isolating one");
  await evaluate(`${legendButton("None")}.click()`);
  check(await evaluate(lines), 0, "curves after hiding all");
  await evaluate(`${legendButton("All")}.click()`);
  check(await evaluate(lines), optimizers, "curves after showing all");

  // Axes and scale change what is drawn.
  const label = "document.querySelector('section[data-problem] .chart svg').getAttribute('aria-label')";
  const choose = (name, value) => evaluate(`(() => { const e = document.querySelector('[data-control=${name}]'); e.selectedIndex = ${value}; e.dispatchEvent(new Event('change')); })()`);
  await choose("axis", 2);
  check((await evaluate(label)).includes("training time"), true, "axis label after a change");
  const curve = "document.querySelector('section[data-problem] .chart path[stroke-width=\"2\"][fill=none]').getAttribute('d')";
  const before = await evaluate(curve);
  await evaluate("document.querySelector('[data-control=log]').click()");
  check(before !== (await evaluate(curve)), true, "curve changes with the scale");
  check(/NaN|Infinity/.test(await evaluate("document.querySelector('main').innerHTML.replace(/<script[^]*?<\\/script>/g, '')")), false, "numbers in the page");
  await evaluate("document.querySelector('[data-control=log]').click()");
  await choose("axis", 0);

  // Values at the pointer and by keyboard.
  const box = await evaluate("(() => { const e = document.querySelector('section[data-problem] .chart svg'); e.scrollIntoView({ block: 'center' }); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()");
  await send("Input.dispatchMouseEvent", { type: "mouseMoved", x: box[0], y: box[1] });
  await until("!document.querySelector('section[data-problem] .tip').hidden");
  const tip = "document.querySelector('section[data-problem] .tip').textContent";
  check(await evaluate(`document.querySelectorAll('section[data-problem] .tip')[0].querySelectorAll('tr').length`), optimizers, "rows of the tooltip");
  check(/gradient evaluations: [\d,]+.*runs|seed/.test(await evaluate(tip)), true, "tooltip's content");
  await shoot("tooltip");
  const pointed = await evaluate(tip);
  await evaluate("document.querySelector('section[data-problem] .chart svg').focus()");
  await send("Input.dispatchKeyEvent", { type: "keyDown", key: "ArrowRight" });
  check(pointed !== (await evaluate(tip)), true, "arrow key moves the tooltip");

  // Dragging zooms, and the zoom can be undone; keys do the same.
  const ticks = "[...document.querySelectorAll('section[data-problem] .chart')[0].querySelectorAll('text[text-anchor=middle]')].map((t) => t.textContent).join()";
  const reset = "document.querySelector('section[data-problem] .chart .reset')";
  const allTicks = await evaluate(ticks);
  const mouse = (type, x) => send("Input.dispatchMouseEvent", { type, x, y: box[1], button: "left", clickCount: 1 });
  await mouse("mousePressed", box[0] - 100);
  await mouse("mouseMoved", box[0]);
  await mouse("mouseReleased", box[0]);
  const zoomed = await evaluate(ticks);
  check([zoomed !== allTicks, await evaluate(`!!${reset}`)], [true, true], "zoom by dragging");
  await shoot("zoom");
  const modifiers = 8; // shift
  const zoomedCurve = await evaluate(curve);
  const perPixel = () => evaluate(`(() => {
    const all = [...document.querySelectorAll('section[data-problem] .chart')[0].querySelectorAll('text[text-anchor=middle]')];
    const [a, b] = all.map((t) => [Number(t.textContent.replaceAll(',', '')), Number(t.getAttribute('x'))]);
    return (b[0] - a[0]) / (b[1] - a[1]);
  })()`);
  const scale = await perPixel();
  await send("Input.dispatchMouseEvent", { type: "mousePressed", x: box[0], y: box[1], button: "left", clickCount: 1, modifiers });
  await send("Input.dispatchMouseEvent", { type: "mouseMoved", x: box[0] - 60, y: box[1], button: "left", modifiers });
  await send("Input.dispatchMouseEvent", { type: "mouseReleased", x: box[0] - 60, y: box[1], button: "left", clickCount: 1, modifiers });
  check(zoomedCurve !== (await evaluate(curve)), true, "shift and dragging move the axis");
  check(Math.abs((await perPixel()) / scale - 1) < 0.01, true, "moving keeps the scale");
  await evaluate(`${reset}.click()`);
  check([await evaluate(ticks), await evaluate(`!!${reset}`)], [allTicks, false], "zoom after its reset");
  await evaluate("document.querySelector('section[data-problem] .chart svg').focus()");
  await send("Input.dispatchKeyEvent", { type: "keyDown", key: "+" });
  check(allTicks !== (await evaluate(ticks)), true, "a key zooms");
  await send("Input.dispatchKeyEvent", { type: "keyDown", key: "0" });
  check(await evaluate(ticks), allTicks, "a key resets the zoom");

  // Sorting by a column of numbers, both ways.
  const column = "[...document.querySelectorAll('section[data-problem] table[data-sortable]')[0].tBodies[0].rows].map((r) => parseFloat(r.cells[1].textContent.replace('∞', 'Infinity')))";
  const header = "document.querySelector('section[data-problem] table[data-sortable]').tHead.rows[0].cells[1]";
  await evaluate(`${header}.querySelector('button').click()`);
  const ascending = await evaluate(`${column}.every((v, i, a) => i === 0 || a[i - 1] <= v)`);
  check([ascending, await evaluate(`${header}.ariaSort`)], [true, "ascending"], "ascending order");
  await evaluate(`${header}.querySelector('button').click()`);
  check(await evaluate(`${column}.every((v, i, a) => i === 0 || a[i - 1] >= v)`), true, "descending order");

  // Filters act on charts, tables and runs.
  await evaluate("document.getElementById('runs').scrollIntoView()");
  await until("document.querySelector('#run-table tbody tr')");
  const count = "Number(document.getElementById('run-count').textContent.match(/^\\d+/)[0])";
  const all = await evaluate(count);
  await shoot("runs");
  await evaluate("document.querySelector('[data-filter=optimizer]').click()");
  check(await evaluate(lines), optimizers - 1, "curves after filtering an optimizer");
  check((await evaluate(count)) < all, true, "runs after filtering an optimizer");
  const overviewColumn = (name) => `(() => { const t = document.querySelector('#overview table'); const c = [...t.tHead.rows[0].cells].findIndex((h) => h.textContent === '${name}'); return [...t.tBodies[0].rows].filter((r) => !r.hidden).map((r) => Number(r.cells[c].textContent)); })()`;
  const ranks = await evaluate(overviewColumn("mean rank by final loss"));
  const ofAll = (count) => (count * (count + 1)) / 2;
  check(Math.abs(ranks.reduce((a, b) => a + b) - ofAll(optimizers - 1)) < 0.05, true, `ranks among those shown: ${ranks}`);
  const profileLabel = "document.querySelector('#profile .chart svg').getAttribute('aria-label')";
  await evaluate("document.querySelector('#profile').scrollIntoView()");
  await until("document.querySelector('#profile .chart svg')");
  const profileBefore = await evaluate(profileLabel);
  check(profileBefore.match(/ ends at /g).length, optimizers - 1, "optimizers in the profile");
  await shoot("profile");
  await evaluate("document.querySelector('[data-filter=problem]').click()");
  check(await evaluate(overviewColumn("problems")), Array(optimizers - 1).fill(sections - 1), "problems in the overview after filtering one");
  check(profileBefore !== (await evaluate(profileLabel)), true, "the profile is of the problems shown");
  check(await evaluate("document.getElementById('partial').hidden"), false, "a note says that not all is shown");
  check(await evaluate("[...document.querySelectorAll('section[data-problem]')].filter((s) => !s.hidden).length"), sections - 1, "problems after filtering one");
  await evaluate("document.querySelector('[data-filter=optimizer]').click(); document.querySelector('[data-filter=problem]').click()");
  check(await evaluate(count), all, "runs without filters");
  check(await evaluate("document.getElementById('partial').hidden"), true, "no note without filters");
  const every = (name) => evaluate(`document.querySelector('#filters [data-every=${name}]').click()`);
  await every("none");
  check(await evaluate(count), 0, "runs of no problem");
  await every("all");
  check(await evaluate(count), all, "runs of all problems");

  // A criterion takes the optimizers with it out of charts, tables and runs.
  const criterion = "[...document.querySelectorAll('[data-filter=criterion]')].find((e) => /gradient norm/.test(e.value))";
  const rows = "[...document.querySelectorAll('section[data-problem] tr[data-optimizer]')].filter((r) => !r.hidden).length";
  const allRows = await evaluate(rows);
  await evaluate(`${criterion}.click()`);
  check((await evaluate(lines)) < optimizers, true, "curves after filtering a criterion");
  check((await evaluate(rows)) < allRows, true, "table rows after filtering a criterion");
  check((await evaluate(count)) < all, true, "runs after filtering a criterion");
  await evaluate(`${criterion}.click()`);
  check([await evaluate(count), await evaluate(rows)], [all, allRows], "runs and rows with all criteria");

  // Pages of runs, and one run by itself.
  if (all > 50) {
    const top = await evaluate("document.querySelector('#run-table tbody').textContent");
    await evaluate("document.getElementById('next').click()");
    check(top !== (await evaluate("document.querySelector('#run-table tbody').textContent")), true, "second page of runs");
    await evaluate("document.getElementById('previous').click()");
  }
  await evaluate("document.querySelector('#run-table tbody a').click()");
  await until("document.getElementById('run').open");
  const details = await evaluate("document.getElementById('run').textContent");
  for (const part of ["Settings that differ", "completed: ", "Changes of phase", "seed", "Digest", "bench-runner claims --replay"])
    check(details.includes(part), true, `run's details have ${part}`);
  check(await evaluate("document.querySelectorAll('#run .chart path[stroke-width=\"2\"]').length > 0"), true, "run's curve");
  await shoot("run");
  const title = "document.getElementById('run-title').textContent";
  const firstRun = await evaluate(title);
  check(await evaluate("document.getElementById('earlier').disabled"), true, "no run before the first");
  await evaluate("document.getElementById('later').click()");
  check(firstRun !== (await evaluate(title)), true, "the next run");
  await evaluate("document.getElementById('earlier').click()");
  check(await evaluate(title), firstRun, "the run before");
  await evaluate("document.querySelector('#run form button:not([type])').click()");
  await until("!document.getElementById('run').open");

  // A run's page has an address, and shows what its criterion saw.
  const judged = await evaluate("JSON.parse(document.getElementById('records').textContent).findIndex((r) => r.seen)");
  await evaluate(`location.hash = '#run=${judged}'`);
  await until("document.getElementById('run').open");
  check(await evaluate("document.querySelectorAll('#run .chart svg').length"), 2, "charts of a run with a criterion");
  const judgedText = await evaluate("document.getElementById('run').textContent");
  for (const part of ["Curvature pairs", "skipped", "threshold", "budget"])
    check(judgedText.includes(part), true, `run's details have ${part}`);
  await evaluate("document.querySelectorAll('#run .chart')[1].scrollIntoView()");
  await shoot("criterion");
  // Closing is not done when the reader goes on to another address.
  await evaluate("document.querySelector('#run form button:not([type])').click(); location.hash = '#run=3'");
  await until("document.getElementById('run').open && location.hash.includes('run=3')");
  await evaluate("document.querySelector('#run form button:not([type])').click()");
  await until("!document.getElementById('run').open");

  // What equals Adam as it never switched is said, and not drawn.
  await evaluate("document.querySelector('section[data-problem=mnist-mlp]').scrollIntoView()");
  await until("document.querySelector('section[data-problem=mnist-mlp] .chart svg')");
  const classifier = "document.querySelector('section[data-problem=mnist-mlp]')";
  check(await evaluate(`${classifier}.querySelectorAll('.chart path[stroke-width="2"][fill=none]').length`), optimizers - 1, "curves without one that never switched");
  check(await evaluate(`${classifier}.querySelector('.legend .equal').textContent`), "fuse-pv/loss-decrease never switched: is adam", "what is not drawn");

  // The view is in the address, and comes back with it.
  await open(1280, 900);
  await evaluate("document.querySelector('section[data-problem]').scrollIntoView()");
  await until("document.querySelector('section[data-problem] .chart svg')");
  await evaluate(`${first}.click()`);
  await choose("axis", 2);
  await evaluate("document.querySelector('[data-control=log]').click()");
  await evaluate("document.querySelectorAll('[data-filter=problem]')[1].click()");
  await evaluate("location.hash = '#run=3'");
  await until("document.getElementById('run').open");
  const address = await evaluate("location.hash");
  await open(1280, 900, true, address);
  await until("document.getElementById('run').open");
  await evaluate("document.querySelector('#run form button:not([type])').click()");
  await evaluate("document.querySelector('section[data-problem]').scrollIntoView()");
  await until("document.querySelector('section[data-problem] .chart svg')");
  check([
    await evaluate(`${first}.getAttribute('aria-pressed')`), (await evaluate(label)).includes("training time"),
    await evaluate("document.querySelector('[data-control=log]').checked"), await evaluate("document.querySelectorAll('[data-filter=problem]')[1].checked"),
    await evaluate(lines), await evaluate("document.querySelectorAll('section[data-problem]')[1].hidden"),
  ], ["false", true, false, false, optimizers - 1, true], "the view that an address brings back");
  await evaluate("location.hash = '#methods'");
  await until("location.hash.includes('at=methods')");
  check(await evaluate(lines), optimizers - 1, "the view after a link to a place");
  await open(1280, 900, true, "#figure=%5Bcut&no-problem=nothing");
  check(problems, [], "errors of an address that was cut short");
  await open(1280, 900);
  await evaluate("document.getElementById('runs').scrollIntoView()");

  // The page of discrepancies has all of them.
  check(await evaluate("document.querySelector('#discrepancies ~ div table').tBodies[0].rows.length"), 16, "discrepancies");
  await evaluate("document.getElementById('discrepancies').scrollIntoView()");
  await shoot("discrepancies");
  await evaluate("document.getElementById('methods').scrollIntoView()");
  await shoot("methods");

  // In the dark the page is dark, and figures stay on white.
  await send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: "dark" }] });
  await open(1280, 900);
  const ground = (of) => evaluate(`getComputedStyle(document.querySelector('${of}')).backgroundColor`);
  check([await ground("body"), await ground(".leaderboard svg")], ["rgb(23, 25, 28)", "rgb(255, 255, 255)"], "colours in the dark");
  check(await violations(), [], "violations that axe found in the dark");
  await shoot("dark");
  await evaluate("document.querySelector('section[data-problem]').scrollIntoView()");
  await until("document.querySelector('section[data-problem] .chart svg')");
  await shoot("dark-figure");

  // On paper, A4 within its margins, no table is cut.
  await send("Emulation.setEmulatedMedia", { media: "print", features: [] });
  await open(703, 1000);
  const widest = "Math.max(...[...document.querySelectorAll('table, svg, pre')].map((e) => e.getBoundingClientRect().right))";
  check((await evaluate(widest)) <= 703, true, `on paper the widest ends at ${await evaluate(widest)} of 703`);
  check(await evaluate("getComputedStyle(document.querySelector('.static')).display"), "block", "static figures on paper");
  await send("Emulation.setEmulatedMedia", { media: "", features: [] });

  // A phone: nothing is wider than the window.
  await open(390, 844);
  check(await evaluate("document.querySelector('.leaderboard table').scrollWidth <= 390"), true, "the leaderboard fits on a phone");
  await shoot("phone-first");
  const movedOnPhone = await shifts();
  check(movedOnPhone < 0.1, true, `layout shift of ${movedOnPhone} on a phone`);
  check(await violations(), [], "violations that axe found on a phone");
  await evaluate("document.querySelector('section[data-problem]').scrollIntoView()");
  await until("document.querySelector('section[data-problem] .chart svg')");
  check(await evaluate("document.documentElement.scrollWidth"), 390, "width on a phone");
  await evaluate("document.querySelector('section[data-problem] .chart').scrollIntoView({ block: 'center' })");
  await shoot("phone");

  // Without JavaScript the static figures are there; the protocol can still ask.
  await open(1280, 900, false);
  const boxes = await send("DOM.getDocument").then(({ root }) => send("DOM.querySelectorAll", { nodeId: root.nodeId, selector: "section[data-problem] .static svg" }));
  check(boxes.nodeIds.length, sections, "static figures");
  for (const nodeId of boxes.nodeIds) {
    const { model } = await send("DOM.getBoxModel", { nodeId });
    check(model.width > 100 && model.height > 100, true, "static figure has a size");
  }
  await shoot("static");
}

await browse(/^(file|data|about):/, run);
