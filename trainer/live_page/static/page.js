"use strict";
// The live page: asks the learner for what is new, every other second, and shows it. What was shown
// stays when the learner does not answer.

const kPollMs = 1500;
const kHiddenPollMs = 10000;
const kRetryMs = 3000;
const kTimeoutMs = 10000;

const kEnds = ["finished", "preempted", "failed"];

const data = {models: [], steps: {steps: [], figures: {}}, evaluations: {steps: [], figures: {}}};
let run = null, token = sessionStorage.getItem("token"), generation = -1, status = null;
let lostAt = null, plots = null, drawn = "", isEndTold = false;

class TokenNeeded extends Error {}

async function ask(path) {
  const aborter = new AbortController();
  const timer = setTimeout(() => aborter.abort(), kTimeoutMs);
  try {
    const headers = token ? {Authorization: "Bearer " + token} : {};
    const answer = await fetch(path, {headers, signal: aborter.signal, cache: "no-store"});
    if (answer.status === 401) throw new TokenNeeded();
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return await answer.json();
  } finally {
    clearTimeout(timer);
  }
}

const trajectories = new TrajectoryView(byId("trajectory-list"), byId("trajectory"), ask);

// ---- curves, kept here and grown by what is new

function begin(answer) {
  data.steps = {steps: [], figures: {}};
  data.evaluations = {steps: [], figures: {}};
  generation = answer.generation;
}

function append(table, rows, stride) {
  // A row off the grid was the newest of its time only.
  if (rows.steps.length > 0 && table.steps.length > 0 && table.steps[table.steps.length - 1] % stride !== 0) {
    table.steps.pop();
    for (const values of Object.values(table.figures)) values.pop();
  }
  for (const [name, values] of Object.entries(rows.figures)) {
    const known = table.figures[name] || (table.figures[name] = new Array(table.steps.length).fill(null));
    known.push(...values);
  }
  table.steps.push(...rows.steps);
  for (const values of Object.values(table.figures)) while (values.length < table.steps.length) values.push(null);
}

async function refreshCurves() {
  for (let more = true; more;) {
    const since = data.steps.steps.length ? data.steps.steps[data.steps.steps.length - 1] : -1;
    const answer = await ask(`api/curves?since=${since}&generation=${generation}`);
    if (answer.reset) begin(answer);
    append(data.steps, answer.steps, answer.stride);
    append(data.evaluations, answer.evaluations, 1);
    data.stride = answer.stride;
    more = answer.steps.more;
  }
}

function drawCurves() {
  const smoothing = Number(byId("smoothing").value);
  const state = [generation, data.steps.steps.length, data.steps.steps[data.steps.steps.length - 1], smoothing].join();
  if (state === drawn) return;
  drawn = state;
  if (plots === null) plots = makeSectionPlots();
  plots(data, smoothing);
}

// ---- the strip and the tiles

function showState(name, text) {
  byId("state").dataset.state = name;
  setText(byId("state"), text);
}

const kStates = {starting: "starting", running: "running", finished: "finished", preempted: "stopped, can go on", failed: "failed"};

function activityText() {
  if (status.state !== "running") return status.state === "starting" ? "loading the policy" : "";
  const age = status.now_unix_s - status.last_step_unix_s;
  const last = `last step ${formatSeconds(Math.max(0, age))} ago`;
  if (status.activity === "updating") return `updating the policy · ${last}`;
  if (status.workers === 0 && status.episodes > 0) return `waiting for a worker · ${last}`;
  return status.episodes > 0 ? `${formatCount(status.committed)} of ${formatCount(status.episodes)} episodes in · ${last}` : last;
}

function drawStrip() {
  const done = status.steps > 0 ? status.steps_done / status.steps : 0;
  const isWaiting = status.state === "running" && status.workers === 0 && status.episodes > 0 && status.activity === "collecting";
  showState(isWaiting ? "waiting" : status.state, kStates[status.state] || status.state);
  setText(byId("activity"), activityText());
  setText(byId("progress"), `step ${formatCount(status.steps_done)} of ${formatCount(status.steps)} · ${Math.floor(100 * done)} %`);
  setText(byId("time-left"), status.state === "running" && status.seconds_left !== null ? `${formatSeconds(status.seconds_left)} left` : "");
  byId("bar-done").style.width = `${100 * done}%`;
  const within = status.state === "running" && status.episodes > 0 ? status.committed / status.episodes : 0;
  byId("bar-step").style.width = status.steps > 0 ? `${100 * within / status.steps}%` : "0";
  document.querySelector(".bar").setAttribute("aria-valuenow", Math.floor(100 * done));
  document.title = `${Math.floor(100 * done)} % · ${run.run}`;
}

// How the mean of the last few steps differs from that of 50 steps before.
function changeText(figure, format) {
  const points = pointsOf(data.steps, figure);
  if (points.length < 12) return "";
  const mean = (some) => some.reduce((sum, point) => sum + point.y, 0) / some.length;
  const now = points.slice(-5), then = points.slice(-55).slice(0, 5);
  const change = mean(now) - mean(then);
  return `${change >= 0 ? "+" : "−"}${format(Math.abs(change))} in ${formatCount(now[now.length - 1].x - then[then.length - 1].x)} steps`;
}

function tile(title, figure, row, format, note) {
  if (!row || !isNumber(row.figures[figure])) return null;
  return element("div", {class: "tile"}, element("span", {class: "quiet"}, title),
    element("strong", {"data-figure": figure, "data-value": row.figures[figure], "data-step": row.step}, format(row.figures[figure])),
    element("span", {class: "quiet"}, note || changeText(figure, format) || " "));
}

function drawTiles() {
  const newest = status.newest, held = status.evaluated;
  const interval = held ? wilsonInterval(held.figures["evaluation/em"], held.figures["evaluation/count"]) : [];
  const tiles = [
    tile("reward", "episode/reward_mean", newest, formatNumber),
    tile("EM, training", "episode/em", newest, formatNumber),
    tile("EM, held out", "evaluation/em", held, formatNumber, held && `[${formatNumber(interval[0])}, ${formatNumber(interval[1])}] at step ${held.step}`),
    tile("$ per 1,000 questions", "episode/cost_usd_per_1k", newest, formatUsd),
    tile("spent so far", "run/cost_usd", newest, formatUsd, "all committed episodes"),
    newest && !isNumber(newest.figures["episode/em"]) ? tile("loss", "policy/loss", newest, formatNumber) : null,
    tile("tokens per second", "step/tokens_per_s", newest, formatNumber),
    tile("seconds per step", "step/time_s", newest, formatSeconds),
  ].filter(Boolean);
  byId("tiles").replaceChildren(...(tiles.length > 0 ? tiles : [element("p", {class: "empty"}, "The first step's figures will be here.")]));
}

// ---- tables

const kPoolColumns = [
  {name: "model"}, {name: "health", title: "failed calls of the last steps"}, {name: "calls", isNumber: true, title: "since this learner began"},
  {name: "share", isNumber: true, title: "of the last steps' calls"}, {name: "failed", isNumber: true}, {name: "latency p50", isNumber: true, title: "last steps, retries included"},
  {name: "p95", isNumber: true}, {name: "tokens in", isNumber: true}, {name: "out", isNumber: true}, {name: "cost", isNumber: true, title: "since this learner began"},
  {name: "$ per 1M in / out", isNumber: true},
];

function healthOf(recent) {
  if (recent.calls === 0) return element("span", {class: "quiet"}, "not called");
  const share = recent.failed / recent.calls;
  if (share === 0) return element("span", {class: "tag good"}, recent.attempts > recent.calls ? "ok, with retries" : "ok");
  const worst = Object.entries(recent.outcomes).filter(([name]) => !["ok", "truncated", "refused"].includes(name)).sort((a, b) => b[1] - a[1])[0];
  return element("span", {class: "tag bad"}, `${formatShare(share)} failing: ${worst[0].replaceAll("_", " ")}`);
}

function drawPool() {
  const pool = status.pool;
  const recentCalls = pool.models.reduce((sum, model) => sum + model.recent.calls, 0);
  const total = (name) => pool.models.reduce((sum, model) => sum + model.total[name], 0);
  setText(byId("pool-summary"), pool.models.length === 0 ? "This run has no pool." :
    `${formatCount(total("calls"))} calls, ${formatUsd(total("cost_usd"))} since this learner began, evaluation included · health, share and latency are of the last ${pool.recent_steps} steps`);
  fillTable(byId("pool-table"), kPoolColumns, pool.models.map((model) => [
    modelChip(model.name, data.models), healthOf(model.recent), formatCount(model.total.calls),
    formatShare(recentCalls > 0 ? model.recent.calls / recentCalls : NaN), formatCount(model.total.failed),
    formatMs(model.recent.latency_p50_ms), formatMs(model.recent.latency_p95_ms), formatNumber(model.total.input_tokens), formatNumber(model.total.output_tokens),
    formatUsd(model.total.cost_usd), `${formatUsd(model.input_usd_per_1m)} / ${formatUsd(model.output_usd_per_1m)}`,
  ]));
}

const kWorkerColumns = [
  {name: "worker"}, {name: "heard of", isNumber: true}, {name: "lag", isNumber: true, title: "policy versions between its last trajectory and the newest weights"},
  {name: "version", isNumber: true}, {name: "running", isNumber: true, title: "episodes under way"}, {name: "episodes", isNumber: true, title: "that came from it"},
  {name: "pool failed", isNumber: true}, {name: "idle", isNumber: true, title: "without an episode, since it began"}, {name: "code"},
];

async function refreshWorkers() {
  const answer = await ask(`api/workers?sort=${byId("workers-sort").value}&limit=${byId("workers-limit").value}`);
  setText(byId("workers-summary"), answer.count === 0 ? "No worker has come yet: start one with switchyard worker --learner ADDRESS (the address is in learner.address)." :
    `${formatCount(answer.live)} live of ${formatCount(answer.count)} · ${formatCount(answer.active_episodes)} episodes under way · ${formatCount(answer.trajectories)} came in · ` +
    `newest policy version ${formatCount(answer.newest_version)}` + (Object.keys(answer.code_versions).length > 1 ? " · they run different code versions" : ""));
  const kLags = [["0", "up to date"], ["1", "1 behind"], ["2+", "2 or more behind"], ["none yet", "nothing came yet"]];
  byId("lag-bar").replaceChildren(...kLags.filter(([lag]) => answer.lags[lag]).map(([lag, text]) => {
    const part = element("span", {"data-lag": lag, title: text}, `${formatCount(answer.lags[lag])} ${text}`);
    part.style.flexGrow = answer.lags[lag];
    return part;
  }));
  setText(byId("workers-shown"), answer.count > answer.rows.length ? `${formatCount(answer.rows.length)} of ${formatCount(answer.count)} are listed` : "");
  fillTable(byId("workers-table"), kWorkerColumns, answer.rows.map((worker) => [
    worker.is_live ? worker.id : element("span", {}, worker.id, " ", element("span", {class: "tag bad"}, "silent")),
    formatSeconds(worker.silent_s) + " ago", worker.lag === null ? kNone : formatCount(worker.lag), worker.policy_version || kNone,
    formatCount(worker.active_episodes), formatCount(worker.trajectories), formatCount(worker.pool_failures), formatSeconds(worker.waited_s), worker.code_version,
  ]));
}

function drawAbout() {
  const names = {code_version: "code version", memory_gib: "memory"};
  const items = Object.entries({...run.environment, folder: run.folder});
  byId("environment").replaceChildren(...items.flatMap(([name, value]) => [
    element("dt", {}, names[name] || name),
    element("dd", {}, Array.isArray(value) ? value.join(" · ") : name === "memory_gib" ? `${value.toFixed(0)} GiB` : value)]));
  setText(byId("config"), run.config);
  setText(byId("run"), run.run);
}

// ---- the loop

function showNotice(text) {
  byId("notice").hidden = text === "";
  setText(byId("notice"), text);
}

async function refreshRun() {
  const answer = await ask("api/run");
  if (run !== null && (answer.run !== run.run || answer.folder !== run.folder)) location.reload();  // the port is another run's now
  run = answer;
  data.models = trajectories.models = run.models;
  generation = -1;
  trajectories.version = null;
  drawAbout();
}

async function refresh() {
  status = await ask("api/status");
  if (run === null || run.instance !== status.instance) await refreshRun();
  drawStrip();
  await refreshCurves();
  byId("login").hidden = true;
  document.querySelector("main").hidden = false;
  drawTiles();
  drawCurves();
  drawPool();
  await refreshWorkers();
  await trajectories.refresh(status.trajectories_version);
  lostAt = null;
  showNotice(status.state === "failed" ? `The run failed: ${status.message}` :
             status.state === "preempted" ? "Stopped after a saved checkpoint: the same command goes on from there." : "");
}

function showLost() {
  lostAt = lostAt || Date.now();
  const ago = formatSeconds((Date.now() - lostAt) / 1000);
  const hasEnded = status !== null && kEnds.includes(status.state);
  if (!hasEnded) showState("lost", "connection lost");
  const what = hasEnded ? `The run has ended (${kStates[status.state]}) and its page with it` : `No answer from the learner for ${ago}`;
  showNotice(`${what}; what is below was the last. Retrying: if the run goes on at this address, so does this page.` +
             (status !== null && status.state === "failed" ? ` It failed: ${status.message}` : ""));
}

function askForToken() {
  byId("login").hidden = false;
  document.querySelector("main").hidden = true;
  showNotice("");
  showState("waiting", "token needed");
  setText(byId("login-error"), token ? "That is not this run's token." : "");
  token = null;
}

async function loop() {
  try {
    await refresh();
    const hasJustEnded = kEnds.includes(status.state) && !isEndTold;
    isEndTold = kEnds.includes(status.state);
    if (hasJustEnded) return setTimeout(loop, 100);  // tells the learner, which waits, that all was seen
    setTimeout(loop, document.hidden ? kHiddenPollMs : kPollMs);
  } catch (error) {
    if (error instanceof TokenNeeded) return askForToken();
    if (!(error instanceof TypeError) && error.name !== "AbortError") console.warn(error);
    showLost();
    setTimeout(loop, kRetryMs);
  }
}

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  sessionStorage.setItem("token", token);
  byId("token").value = "";
  loop();
});
for (const id of ["workers-sort", "workers-limit"]) byId(id).addEventListener("change", () => refreshWorkers().catch(() => {}));
byId("smoothing").addEventListener("change", drawCurves);

// A token in the address (…#token=…) is taken out of it at once.
const inAddress = new URLSearchParams(location.hash.slice(1)).get("token");
if (inAddress) {
  token = inAddress;
  sessionStorage.setItem("token", token);
  history.replaceState(null, "", location.pathname);
}
loop();
