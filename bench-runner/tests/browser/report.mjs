// Drives a report in headless Chromium through the DevTools protocol: filters, axes, legend, sorting,
// tooltips, pages of single runs, and the page without JavaScript.
//
// node report.mjs CHROMIUM INDEX.HTML [SCREENSHOT-FOLDER]
//
// Exits 0 and prints "ok" when all checks pass.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [chromium, file, screenshots] = process.argv.slice(2);
const url = pathToFileURL(resolve(file)).href;
const profile = mkdtempSync(join(tmpdir(), "report-browser-"));
// Commands and answers are JSON texts, each ended by a zero byte, on descriptors 3 and 4.
const browser = spawn(chromium, [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe",
  `--user-data-dir=${profile}`, "about:blank",
], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
const waiting = new Map();
const problems = [];
let buffer = "", serial = 0, session;
browser.stdio[4].on("data", (chunk) => {
  buffer += chunk;
  const parts = buffer.split("\0");
  buffer = parts.pop();
  for (const message of parts.map((part) => JSON.parse(part))) {
    if (message.method === "Runtime.exceptionThrown") problems.push(message.params.exceptionDetails.exception?.description);
    if (message.method === "Network.requestWillBeSent" && !/^(file|data|about):/.test(message.params.request.url))
      problems.push(`requested ${message.params.request.url}`);
    waiting.get(message.id)?.(message);
    waiting.delete(message.id);
  }
});

function send(method, params = {}) {
  const id = ++serial;
  browser.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId: session })}\0`);
  return new Promise((done, fail) => waiting.set(id, (message) =>
    message.error ? fail(new Error(`${method}: ${message.error.message}`)) : done(message.result)));
}

async function evaluate(expression) {
  const answer = await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
  if (answer.exceptionDetails) throw new Error(`${expression}: ${answer.exceptionDetails.exception?.description}`);
  return answer.result.value;
}

async function until(expression) {
  for (let i = 0; i < 200; i++) {
    if (await evaluate(expression)) return;
    await new Promise((done) => setTimeout(done, 25));
  }
  throw new Error(`never true: ${expression} ${problems.join("; ")}`);
}

function check(found, expected, what) {
  if (JSON.stringify(found) !== JSON.stringify(expected))
    throw new Error(`${what}: found ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`);
}

async function open(width, height, script = true) {
  await send("Emulation.setScriptExecutionDisabled", { value: !script });
  await send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
  await send("Page.navigate", { url: "about:blank" });
  await send("Page.navigate", { url });
  await until("document.readyState === 'complete' && location.protocol === 'file:'");
}

async function shoot(name) {
  if (!screenshots) return;
  const { data } = await send("Page.captureScreenshot", { captureBeyondViewport: false });
  writeFileSync(join(screenshots, `${name}.png`), Buffer.from(data, "base64"));
}

async function run() {
  const { targetInfos } = await send("Target.getTargets");
  const page = targetInfos.find((target) => target.type === "page");
  ({ sessionId: session } = await send("Target.attachToTarget", { targetId: page.targetId, flatten: true }));
  await send("Page.enable");
  await send("Page.bringToFront");
  await send("Runtime.enable");
  await send("Network.enable");

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

  // Axes and scale change what is drawn.
  const label = "document.querySelector('section[data-problem] .chart svg').getAttribute('aria-label')";
  const choose = (name, value) => evaluate(`(() => { const e = document.querySelector('[data-control=${name}]'); e.value = ${value}; e.dispatchEvent(new Event('change')); })()`);
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
  await evaluate("document.querySelector('[data-filter=problem]').click()");
  check(await evaluate("[...document.querySelectorAll('section[data-problem]')].filter((s) => !s.hidden).length"), sections - 1, "problems after filtering one");
  await evaluate("document.querySelector('[data-filter=optimizer]').click(); document.querySelector('[data-filter=problem]').click()");
  check(await evaluate(count), all, "runs without filters");

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
  }
  await evaluate("document.querySelector('#run-table tbody a').click()");
  await until("document.getElementById('run').open");
  const details = await evaluate("document.getElementById('run').textContent");
  for (const part of ["Settings", "Reason to stop", "Changes of phase", "seed"])
    check(details.includes(part), true, `run's details have ${part}`);
  check(await evaluate("document.querySelectorAll('#run .chart path[stroke-width=\"2\"]').length > 0"), true, "run's curve");
  await shoot("run");
  await evaluate("document.querySelector('#run form button').click()");
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
  await evaluate("document.querySelector('#run form button').click()");
  await until("!document.getElementById('run').open");

  // The page of discrepancies has all of them.
  check(await evaluate("document.querySelector('#discrepancies ~ div table').tBodies[0].rows.length"), 16, "discrepancies");
  await evaluate("document.getElementById('discrepancies').scrollIntoView()");
  await shoot("discrepancies");
  await evaluate("document.getElementById('methods').scrollIntoView()");
  await shoot("methods");

  // A phone: nothing is wider than the window.
  await open(390, 844);
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
  check(problems, [], "errors and requests of the page");
}

try {
  await run();
  console.log("ok");
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  // Its helpers may write a little longer than it lives.
  browser.kill();
  await new Promise((done) => browser.once("exit", done));
  rmSync(profile, { recursive: true, force: true, maxRetries: 20 });
}
