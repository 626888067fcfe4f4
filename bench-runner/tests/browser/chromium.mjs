// Headless Chromium through the DevTools protocol, for scripts that check a page, called with CHROMIUM ADDRESS
// [SCREENSHOT-FOLDER]. Accessibility is checked where the environment variable AXE_CORE names axe.min.js of the npm
// package axe-core.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [, , chromium, , screenshots] = process.argv;
const profile = mkdtempSync(join(tmpdir(), "report-browser-"));
// Commands and answers are JSON texts, each ended by a zero byte, on descriptors 3 and 4.
const browser = spawn(chromium, [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe",
  `--user-data-dir=${profile}`, "about:blank",
], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
const waiting = new Map();
// Errors of the page, and requests that it must not make.
export const problems = [];
let allowed;
let buffer = "", serial = 0, session;
browser.stdio[4].on("data", (chunk) => {
  buffer += chunk;
  const parts = buffer.split("\0");
  buffer = parts.pop();
  for (const message of parts.map((part) => JSON.parse(part))) {
    if (message.method === "Runtime.exceptionThrown") problems.push(message.params.exceptionDetails.exception?.description);
    if (message.method === "Network.requestWillBeSent" && !allowed.test(message.params.request.url))
      problems.push(`requested ${message.params.request.url}`);
    waiting.get(message.id)?.(message);
    waiting.delete(message.id);
  }
});

export function send(method, params = {}) {
  const id = ++serial;
  browser.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId: session })}\0`);
  return new Promise((done, fail) => waiting.set(id, (message) =>
    message.error ? fail(new Error(`${method}: ${message.error.message}`)) : done(message.result)));
}

export async function evaluate(expression) {
  const answer = await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
  if (answer.exceptionDetails) throw new Error(`${expression}: ${answer.exceptionDetails.exception?.description}`);
  return answer.result.value;
}

// Waits until an expression is true, at most so many seconds.
export async function until(expression, seconds = 5) {
  for (let i = 0; i < 40 * seconds; i++) {
    if (await evaluate(expression)) return;
    await new Promise((done) => setTimeout(done, 25));
  }
  throw new Error(`never true: ${expression} ${problems.join("; ")}`);
}

export function check(found, expected, what) {
  if (JSON.stringify(found) !== JSON.stringify(expected))
    throw new Error(`${what}: found ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`);
}

// Opens an address in a window of a size.
export async function visit(url, width, height, script = true) {
  await send("Emulation.setScriptExecutionDisabled", { value: !script });
  await send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
  await send("Page.navigate", { url: "about:blank" });
  await send("Page.navigate", { url });
  await until("document.readyState === 'complete' && location.protocol !== 'about:'");
}

export async function shoot(name) {
  if (!screenshots) return;
  const { data } = await send("Page.captureScreenshot", { captureBeyondViewport: false });
  writeFileSync(join(screenshots, `${name}.png`), Buffer.from(data, "base64"));
}

// The sum of all layout shifts while the page is scrolled from top to bottom.
export function shifts() {
  return evaluate(`new Promise(async (done) => {
    let sum = 0;
    new PerformanceObserver((list) => { for (const entry of list.getEntries()) if (!entry.hadRecentInput) sum += entry.value; })
      .observe({ type: "layout-shift", buffered: true });
    for (let y = 0; y < document.body.scrollHeight; y += innerHeight / 2) {
      scrollTo(0, y);
      await new Promise((next) => requestAnimationFrame(() => setTimeout(next, 20)));
    }
    scrollTo(0, 0);
    done(sum);
  })`);
}

// What axe finds wrong with the page as it is, where axe is there.
export async function violations() {
  if (!process.env.AXE_CORE) return [];
  await evaluate(readFileSync(process.env.AXE_CORE, "utf8") + "; true");
  return evaluate("axe.run().then((all) => all.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html.slice(0, 120)).slice(0, 3).join(' ')}`))");
}

// Does `run` with a page whose requests must match `requests`, and ends the browser; prints "ok" when all checks pass, and
// the first that does not otherwise.
export async function browse(requests, run) {
  allowed = requests;
  try {
    const { targetInfos } = await send("Target.getTargets");
    const page = targetInfos.find((target) => target.type === "page");
    ({ sessionId: session } = await send("Target.attachToTarget", { targetId: page.targetId, flatten: true }));
    await send("Page.enable");
    await send("Page.bringToFront");
    await send("Runtime.enable");
    await send("Network.enable");
    await run();
    check(problems, [], "errors and requests of the page");
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
}
