// Drives the page of a sweep under way: progress, curves that grow, stop, continue, the end with its report, layout shifts,
// dark, a phone, and accessibility. The sweep must not have ended when the page is opened.
//
// node live.mjs CHROMIUM ADDRESS [SCREENSHOT-FOLDER]
//
// Exits 0 and prints "ok" when all checks pass.
import { browse, check, evaluate, send, shifts, shoot, until, violations, visit } from "./chromium.mjs";

const url = process.argv[3];
const text = (id) => evaluate(`document.getElementById("${id}").textContent`);
const drawn = "document.querySelectorAll('#problems .chart path[stroke-width=\"2\"][fill=none]').length";

async function run() {
  // What the sweep does, and its first curve.
  await visit(url, 1280, 900);
  await until("document.getElementById('phase').textContent === 'running'", 60);
  check(await text("name"), "tiny", "the suite's name");
  check(/^\d+ of 10$/.test(await text("runs")), true, `runs: ${await text("runs")}`);
  await until(`${drawn} > 0`, 60);
  check(await evaluate("document.querySelectorAll('#problems section').length"), 2, "problems");
  check(await evaluate("document.querySelectorAll('#problems .legend span').length"), 5, "optimizers in the legends");
  await until("/slow × .*: \\d+ %/.test(document.getElementById('under-way').textContent)", 60);
  await until("document.querySelector('#under-way a').getAttribute('href') === '#problem-0'", 60);
  check(/^running: \d+ of 10 runs/.test(await text("said")), true, `what is said to a screen reader: ${await text("said")}`);
  check(await evaluate("[document.getElementById('stop').disabled, document.getElementById('continue').disabled]"), [false, true], "buttons");
  await until("document.getElementById('bar').value > 0");
  await shoot("live");

  // It stops and goes on.
  await evaluate("document.getElementById('stop').click()");
  await until("document.getElementById('phase').textContent === 'stopped'", 120);
  await until("!document.getElementById('continue').disabled");
  check(await evaluate("document.getElementById('stop').disabled"), true, "nothing to stop");
  check(await evaluate("getComputedStyle(document.getElementById('report')).visibility"), "visible", "the report of what is complete");
  check([await text("under-way"), await evaluate("document.getElementById('message').hidden")], ["No run is under way.", true], "what is said then");
  check(await violations(), [], "violations that axe found");
  await shoot("stopped");
  await evaluate("document.getElementById('continue').click()");
  await until("document.getElementById('phase').textContent === 'running'", 60);
  // An open page does not move while it is fed.
  await visit(url, 1280, 900);
  await until(`${drawn} > 0`, 60);
  const moved = await shifts();
  check(moved < 0.1, true, `layout shift of ${moved}`);

  await until("document.getElementById('phase').textContent === 'done'", 240);
  check([await text("runs"), await text("left")], ["10 of 10", "–"], "runs, and time left");
  check(await evaluate("document.getElementById('bar').value"), 1, "the bar");
  check([await text("failed"), await text("diverged")], ["0", "2"], "failed and diverged");
  check(/slow × sgd × seed \ddivergedloss /.test(await text("trouble-rows")), true, `reasons: ${await text("trouble-rows")}`);
  check(/completed, loss/.test(await text("log")), true, "the log");
  check(await evaluate("[document.getElementById('stop').disabled, document.getElementById('continue').disabled]"), [true, true], "buttons at the end");
  await evaluate("document.querySelector('#problems section').scrollIntoView()");
  await until(`${drawn} >= 2`);
  await shoot("done");

  // In the dark, and on a phone: nothing is wider than the window.
  await send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: "dark" }] });
  await visit(url, 1280, 900);
  await until("document.getElementById('phase').textContent === 'done'");
  check(await evaluate("getComputedStyle(document.body).backgroundColor"), "rgb(23, 25, 28)", "colour in the dark");
  await until(`${drawn} >= 2`);
  check(await violations(), [], "violations that axe found in the dark");
  await shoot("dark");
  await send("Emulation.setEmulatedMedia", { features: [] });
  await visit(url, 390, 844);
  await until(`${drawn} >= 2`);
  check(await evaluate("document.documentElement.scrollWidth"), 390, "width on a phone");
  const movedOnPhone = await shifts();
  check(movedOnPhone < 0.1, true, `layout shift of ${movedOnPhone} on a phone`);
  check(await violations(), [], "violations that axe found on a phone");
  await shoot("phone");
  await evaluate("document.querySelector('#problems section').scrollIntoView()");
  await shoot("phone-curves");
  await evaluate("document.getElementById('troubles').scrollIntoView()");
  await shoot("phone-troubles");

  // The report is below the same address, with its files.
  await visit(`${url}report/index.html`, 1280, 900);
  check(await evaluate("document.querySelectorAll('section[data-problem]').length"), 2, "problems in the report");
}

await browse(new RegExp(`^(${url}|data:|about:)`), run);
